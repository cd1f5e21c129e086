/* engramk--1.6--1.7.sql: filter columns, and radii */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.7'" to load this file. \quit

-- Numbers that rise with values, for the codes of filter columns

CREATE FUNCTION engram_filter_number(boolean) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_bool' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_filter_number(smallint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_int2' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_filter_number(integer) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_int4' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_filter_number(bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_filter_number(date) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_int4' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_filter_number(timestamp) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_filter_number(timestamptz) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_filter_number_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION engram_filter_number(boolean) IS 'engramk: support function of filter columns';
COMMENT ON FUNCTION engram_filter_number(smallint) IS 'engramk: support function of filter columns';
COMMENT ON FUNCTION engram_filter_number(integer) IS 'engramk: support function of filter columns';
COMMENT ON FUNCTION engram_filter_number(bigint) IS 'engramk: support function of filter columns';
COMMENT ON FUNCTION engram_filter_number(date) IS 'engramk: support function of filter columns';
COMMENT ON FUNCTION engram_filter_number(timestamp) IS 'engramk: support function of filter columns';
COMMENT ON FUNCTION engram_filter_number(timestamptz) IS 'engramk: support function of filter columns';

-- Types with an order

CREATE OPERATOR FAMILY engram_integer_filter USING engramk;

CREATE OPERATOR CLASS engram_int2_filter DEFAULT FOR TYPE smallint USING engramk FAMILY engram_integer_filter AS
    OPERATOR 1 < (smallint, smallint), OPERATOR 2 <= (smallint, smallint), OPERATOR 3 = (smallint, smallint),
    OPERATOR 4 >= (smallint, smallint), OPERATOR 5 > (smallint, smallint),
    FUNCTION 2 engram_filter_number(smallint);
CREATE OPERATOR CLASS engram_int4_filter DEFAULT FOR TYPE integer USING engramk FAMILY engram_integer_filter AS
    OPERATOR 1 < (integer, integer), OPERATOR 2 <= (integer, integer), OPERATOR 3 = (integer, integer),
    OPERATOR 4 >= (integer, integer), OPERATOR 5 > (integer, integer),
    FUNCTION 2 engram_filter_number(integer);
CREATE OPERATOR CLASS engram_int8_filter DEFAULT FOR TYPE bigint USING engramk FAMILY engram_integer_filter AS
    OPERATOR 1 < (bigint, bigint), OPERATOR 2 <= (bigint, bigint), OPERATOR 3 = (bigint, bigint),
    OPERATOR 4 >= (bigint, bigint), OPERATOR 5 > (bigint, bigint),
    FUNCTION 2 engram_filter_number(bigint);

ALTER OPERATOR FAMILY engram_integer_filter USING engramk ADD
    OPERATOR 1 < (smallint, integer), OPERATOR 2 <= (smallint, integer), OPERATOR 3 = (smallint, integer),
    OPERATOR 4 >= (smallint, integer), OPERATOR 5 > (smallint, integer),
    OPERATOR 1 < (smallint, bigint), OPERATOR 2 <= (smallint, bigint), OPERATOR 3 = (smallint, bigint),
    OPERATOR 4 >= (smallint, bigint), OPERATOR 5 > (smallint, bigint),
    OPERATOR 1 < (integer, smallint), OPERATOR 2 <= (integer, smallint), OPERATOR 3 = (integer, smallint),
    OPERATOR 4 >= (integer, smallint), OPERATOR 5 > (integer, smallint),
    OPERATOR 1 < (integer, bigint), OPERATOR 2 <= (integer, bigint), OPERATOR 3 = (integer, bigint),
    OPERATOR 4 >= (integer, bigint), OPERATOR 5 > (integer, bigint),
    OPERATOR 1 < (bigint, smallint), OPERATOR 2 <= (bigint, smallint), OPERATOR 3 = (bigint, smallint),
    OPERATOR 4 >= (bigint, smallint), OPERATOR 5 > (bigint, smallint),
    OPERATOR 1 < (bigint, integer), OPERATOR 2 <= (bigint, integer), OPERATOR 3 = (bigint, integer),
    OPERATOR 4 >= (bigint, integer), OPERATOR 5 > (bigint, integer);

CREATE OPERATOR CLASS engram_bool_filter DEFAULT FOR TYPE boolean USING engramk AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 2 engram_filter_number(boolean);
CREATE OPERATOR CLASS engram_date_filter DEFAULT FOR TYPE date USING engramk AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 2 engram_filter_number(date);
CREATE OPERATOR CLASS engram_timestamp_filter DEFAULT FOR TYPE timestamp USING engramk AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 2 engram_filter_number(timestamp);
CREATE OPERATOR CLASS engram_timestamptz_filter DEFAULT FOR TYPE timestamptz USING engramk AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 2 engram_filter_number(timestamptz);

-- Types with a hash

CREATE OPERATOR CLASS engram_text_filter DEFAULT FOR TYPE text USING engramk AS
    OPERATOR 3 =, FUNCTION 1 hashtext(text);
CREATE OPERATOR CLASS engram_bpchar_filter DEFAULT FOR TYPE bpchar USING engramk AS
    OPERATOR 3 =, FUNCTION 1 hashbpchar(bpchar);
CREATE OPERATOR CLASS engram_uuid_filter DEFAULT FOR TYPE uuid USING engramk AS
    OPERATOR 3 =, FUNCTION 1 uuid_hash(uuid);
CREATE OPERATOR CLASS engram_oid_filter DEFAULT FOR TYPE oid USING engramk AS
    OPERATOR 3 =, FUNCTION 1 hashoid(oid);
CREATE OPERATOR CLASS engram_numeric_filter DEFAULT FOR TYPE numeric USING engramk AS
    OPERATOR 3 =, FUNCTION 1 hash_numeric(numeric);
CREATE OPERATOR CLASS engram_enum_filter DEFAULT FOR TYPE anyenum USING engramk AS
    OPERATOR 3 =, FUNCTION 1 hashenum(anyenum);

-- Everything within a distance

CREATE TYPE engram_ball AS (center real[], radius double precision);
COMMENT ON TYPE engram_ball IS 'engramk: a vector and a distance from it, for index conditions';

CREATE FUNCTION engram_ball(center real[], radius double precision) RETURNS engram_ball
    AS 'MODULE_PATHNAME', 'ek_sql_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION engram_ball(real[], double precision) IS 'engramk: a vector and a distance from it';

CREATE FUNCTION engram_cosine_in_ball(real[], engram_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_cosine_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_inner_product_in_ball(real[], engram_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_inner_product_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_l2_in_ball(real[], engram_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_l2_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_cosine_in_ball(real[], engram_ball) IS 'implementation of <=>@ operator';
COMMENT ON FUNCTION engram_inner_product_in_ball(real[], engram_ball) IS 'implementation of <#>@ operator';
COMMENT ON FUNCTION engram_l2_in_ball(real[], engram_ball) IS 'implementation of <->@ operator';

CREATE OPERATOR <=>@ (LEFTARG = real[], RIGHTARG = engram_ball, FUNCTION = engram_cosine_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
CREATE OPERATOR <#>@ (LEFTARG = real[], RIGHTARG = engram_ball, FUNCTION = engram_inner_product_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
CREATE OPERATOR <->@ (LEFTARG = real[], RIGHTARG = engram_ball, FUNCTION = engram_l2_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
COMMENT ON OPERATOR <=>@ (real[], engram_ball) IS 'is within a cosine distance';
COMMENT ON OPERATOR <#>@ (real[], engram_ball) IS 'is within a negative inner product';
COMMENT ON OPERATOR <->@ (real[], engram_ball) IS 'is within a Euclidean distance';

ALTER OPERATOR FAMILY engram_ops USING engramk ADD
    OPERATOR 4 <=>@ (real[], engram_ball),
    OPERATOR 5 <#>@ (real[], engram_ball),
    OPERATOR 6 <->@ (real[], engram_ball);

CREATE FUNCTION engram_cosine_within_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_cosine_within_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_inner_product_within_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_inner_product_within_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_l2_within_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_l2_within_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION engram_cosine_within_support(internal) IS 'engramk: planner support function';
COMMENT ON FUNCTION engram_inner_product_within_support(internal) IS 'engramk: planner support function';
COMMENT ON FUNCTION engram_l2_within_support(internal) IS 'engramk: planner support function';

CREATE FUNCTION engram_cosine_within(a real[], b real[], radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_cosine_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_cosine_within_support;
CREATE FUNCTION engram_inner_product_within(a real[], b real[], radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_inner_product_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_inner_product_within_support;
CREATE FUNCTION engram_l2_within(a real[], b real[], radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_l2_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_l2_within_support;
COMMENT ON FUNCTION engram_cosine_within(real[], real[], double precision) IS
    'is the cosine distance, a <=> b, at most the radius?';
COMMENT ON FUNCTION engram_inner_product_within(real[], real[], double precision) IS
    'is the negative inner product, a <#> b, at most the radius?';
COMMENT ON FUNCTION engram_l2_within(real[], real[], double precision) IS
    'is the Euclidean distance, a <-> b, at most the radius?';

-- A join of what is near enough: near-duplicates; and one within the rows of a key.  In
-- their order of arguments, no call of the one that there has been is ambiguous.

CREATE FUNCTION engram_knn_join(
    queries text, targets text, k integer, max_distance double precision, exclude_self boolean DEFAULT false,
    metric text DEFAULT 'cosine')
    RETURNS TABLE (query_id bigint, target_id bigint, rank integer, distance double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_knn_join_within'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100000 ROWS 10000;
COMMENT ON FUNCTION engram_knn_join(text, text, integer, double precision, boolean, text) IS
    'the k nearest targets of each query that are at most so far away, both of them a SELECT of (id, vector)';

CREATE FUNCTION engram_knn_join(
    queries text, targets text, k integer, join_by name, exclude_self boolean DEFAULT false,
    metric text DEFAULT 'cosine', max_distance double precision DEFAULT 'Infinity')
    RETURNS TABLE (query_id bigint, target_id bigint, rank integer, distance double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_knn_join_by'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100000 ROWS 10000;
COMMENT ON FUNCTION engram_knn_join(text, text, integer, name, boolean, text, double precision) IS
    'the k nearest targets of each query that have its key, both of them a SELECT of (id, vector, key)';

-- What filters passed.  Not in engram_stat_indexes: the way back would take other views of it along.

CREATE FUNCTION engram_stat_get_filter(index oid, OUT filter_codes bigint, OUT passed bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_filter_counts'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

CREATE VIEW engram_stat_filters AS
    SELECT i.indexrelid, n.nspname AS schemaname, t.relname, c.relname AS indexrelname, s.filter_codes, s.passed
    FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
        JOIN pg_catalog.pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk'
        JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
        LATERAL engram_stat_get_filter(i.indexrelid) AS s
    WHERE i.indnatts > 1;
COMMENT ON VIEW engram_stat_filters IS
    'engramk: what the scans of each engramk index with filter columns looked at and passed since stats_reset';
COMMENT ON FUNCTION engram_stat_get_filter(oid) IS 'engramk: what engram_stat_filters shows of an index';
GRANT SELECT ON engram_stat_filters TO PUBLIC;
