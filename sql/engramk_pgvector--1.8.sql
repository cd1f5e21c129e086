/* engramk_pgvector--1.8.sql: the types of pgvector */

-- complain if the script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION engramk_pgvector" to load this file. \quit

DO LANGUAGE plpgsql $$
BEGIN
    IF pg_catalog.to_regtype('halfvec') IS NULL THEN
        RAISE EXCEPTION 'engramk_pgvector needs version 0.7 of pgvector, or a later one'
            USING HINT = 'ALTER EXTENSION vector UPDATE.';
    END IF;
    -- a schema that others may write to could have other types of these names
    IF (SELECT count(*) FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'vector' AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
            AND d.classid = 'pg_catalog.pg_type'::regclass
            AND d.objid IN (pg_catalog.to_regtype('vector'), pg_catalog.to_regtype('halfvec'))) <> 2 THEN
        RAISE EXCEPTION 'in this schema, vector and halfvec are not the types of pgvector';
    END IF;
    IF (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'engramk') IN
        ('1.0', '1.1', '1.2', '1.3', '1.4', '1.5', '1.6', '1.7') THEN
        RAISE EXCEPTION 'engramk_pgvector needs version 1.8 of engramk, or a later one'
            USING HINT = 'ALTER EXTENSION engramk UPDATE.';
    END IF;
    IF (SELECT extnamespace FROM pg_catalog.pg_extension WHERE extname = 'vector') <>
        (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = pg_catalog.current_schema()) THEN
        RAISE NOTICE 'engramk_pgvector is not in the schema of pgvector'
            USING HINT = 'Statements that name the schema of an operator class find those of engramk only in their own.';
    END IF;
END
$$;

-- How the types are read

CREATE FUNCTION engram_vector_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_type_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_halfvec_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_type_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION engram_vector_support(internal) IS 'engramk: support function of operator classes';
COMMENT ON FUNCTION engram_halfvec_support(internal) IS 'engramk: support function of operator classes';

-- Within a radius: by the distances of engramk

CREATE TYPE engram_vector_ball AS (center vector, radius double precision, lossy boolean);
COMMENT ON TYPE engram_vector_ball IS 'engramk: a vector and a distance from it, for index conditions';
CREATE FUNCTION engram_ball(center vector, radius double precision) RETURNS engram_vector_ball
    AS 'MODULE_PATHNAME', 'ek_sql_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_ball(center vector, radius double precision, lossy boolean) RETURNS engram_vector_ball
    AS 'MODULE_PATHNAME', 'ek_sql_lossy_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION engram_ball(vector, double precision) IS 'engramk: a vector and a distance from it';
COMMENT ON FUNCTION engram_ball(vector, double precision, boolean) IS
    'engramk: the same; if lossy, for an index only: everything counts as within';

CREATE FUNCTION engram_cosine_in_ball(vector, engram_vector_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_vector_cosine_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_inner_product_in_ball(vector, engram_vector_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_vector_inner_product_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_l2_in_ball(vector, engram_vector_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_vector_l2_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_cosine_in_ball(vector, engram_vector_ball) IS 'implementation of <=>@ operator';
COMMENT ON FUNCTION engram_inner_product_in_ball(vector, engram_vector_ball) IS 'implementation of <#>@ operator';
COMMENT ON FUNCTION engram_l2_in_ball(vector, engram_vector_ball) IS 'implementation of <->@ operator';
CREATE OPERATOR <=>@ (LEFTARG = vector, RIGHTARG = engram_vector_ball, FUNCTION = engram_cosine_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
CREATE OPERATOR <#>@ (LEFTARG = vector, RIGHTARG = engram_vector_ball, FUNCTION = engram_inner_product_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
CREATE OPERATOR <->@ (LEFTARG = vector, RIGHTARG = engram_vector_ball, FUNCTION = engram_l2_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
COMMENT ON OPERATOR <=>@ (vector, engram_vector_ball) IS 'is within a cosine distance';
COMMENT ON OPERATOR <#>@ (vector, engram_vector_ball) IS 'is within a negative inner product';
COMMENT ON OPERATOR <->@ (vector, engram_vector_ball) IS 'is within a Euclidean distance';

CREATE FUNCTION engram_cosine_within(a vector, b vector, radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_vector_cosine_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_cosine_within_support;
CREATE FUNCTION engram_inner_product_within(a vector, b vector, radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_vector_inner_product_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_inner_product_within_support;
CREATE FUNCTION engram_l2_within(a vector, b vector, radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_vector_l2_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_l2_within_support;
COMMENT ON FUNCTION engram_cosine_within(vector, vector, double precision) IS
    'is the cosine distance, as engramk computes it, at most the radius?';
COMMENT ON FUNCTION engram_inner_product_within(vector, vector, double precision) IS
    'is the negative inner product, as engramk computes it, at most the radius?';
COMMENT ON FUNCTION engram_l2_within(vector, vector, double precision) IS
    'is the Euclidean distance, as engramk computes it, at most the radius?';

CREATE TYPE engram_halfvec_ball AS (center halfvec, radius double precision, lossy boolean);
COMMENT ON TYPE engram_halfvec_ball IS 'engramk: a vector and a distance from it, for index conditions';
CREATE FUNCTION engram_ball(center halfvec, radius double precision) RETURNS engram_halfvec_ball
    AS 'MODULE_PATHNAME', 'ek_sql_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engram_ball(center halfvec, radius double precision, lossy boolean) RETURNS engram_halfvec_ball
    AS 'MODULE_PATHNAME', 'ek_sql_lossy_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION engram_ball(halfvec, double precision) IS 'engramk: a vector and a distance from it';
COMMENT ON FUNCTION engram_ball(halfvec, double precision, boolean) IS
    'engramk: the same; if lossy, for an index only: everything counts as within';

CREATE FUNCTION engram_cosine_in_ball(halfvec, engram_halfvec_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_cosine_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_inner_product_in_ball(halfvec, engram_halfvec_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_inner_product_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_l2_in_ball(halfvec, engram_halfvec_ball) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_l2_in_ball' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_cosine_in_ball(halfvec, engram_halfvec_ball) IS 'implementation of <=>@ operator';
COMMENT ON FUNCTION engram_inner_product_in_ball(halfvec, engram_halfvec_ball) IS 'implementation of <#>@ operator';
COMMENT ON FUNCTION engram_l2_in_ball(halfvec, engram_halfvec_ball) IS 'implementation of <->@ operator';
CREATE OPERATOR <=>@ (LEFTARG = halfvec, RIGHTARG = engram_halfvec_ball, FUNCTION = engram_cosine_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
CREATE OPERATOR <#>@ (LEFTARG = halfvec, RIGHTARG = engram_halfvec_ball, FUNCTION = engram_inner_product_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
CREATE OPERATOR <->@ (LEFTARG = halfvec, RIGHTARG = engram_halfvec_ball, FUNCTION = engram_l2_in_ball,
    RESTRICT = contsel, JOIN = contjoinsel);
COMMENT ON OPERATOR <=>@ (halfvec, engram_halfvec_ball) IS 'is within a cosine distance';
COMMENT ON OPERATOR <#>@ (halfvec, engram_halfvec_ball) IS 'is within a negative inner product';
COMMENT ON OPERATOR <->@ (halfvec, engram_halfvec_ball) IS 'is within a Euclidean distance';

CREATE FUNCTION engram_cosine_within(a halfvec, b halfvec, radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_cosine_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_cosine_within_support;
CREATE FUNCTION engram_inner_product_within(a halfvec, b halfvec, radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_inner_product_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_inner_product_within_support;
CREATE FUNCTION engram_l2_within(a halfvec, b halfvec, radius double precision) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_l2_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT engram_l2_within_support;
COMMENT ON FUNCTION engram_cosine_within(halfvec, halfvec, double precision) IS
    'is the cosine distance, as engramk computes it, at most the radius?';
COMMENT ON FUNCTION engram_inner_product_within(halfvec, halfvec, double precision) IS
    'is the negative inner product, as engramk computes it, at most the radius?';
COMMENT ON FUNCTION engram_l2_within(halfvec, halfvec, double precision) IS
    'is the Euclidean distance, as engramk computes it, at most the radius?';

-- Many at once

CREATE FUNCTION engram_cosine_batch(query vector, candidates vector[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'ek_sql_vector_cosine_batch' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION engram_cosine_matrix(queries vector[], candidates vector[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'ek_sql_vector_cosine_matrix' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION engram_topk(query vector, candidates vector[], k integer)
    RETURNS TABLE (ordinal integer, similarity double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_vector_topk' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION engram_cosine_batch(vector, vector[]) IS 'cosine similarity of each candidate';
COMMENT ON FUNCTION engram_cosine_matrix(vector[], vector[]) IS 'cosine similarity of each query and each candidate';
COMMENT ON FUNCTION engram_topk(vector, vector[], integer) IS 'the k candidates of greatest cosine similarity, best first';

CREATE FUNCTION engram_nearest_add(state internal, id bigint, vector vector, queries vector[], k integer)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_vector_nearest_bigint_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, bigint, vector, vector[], integer) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id bigint, vector vector, queries vector[], k integer) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(bigint, vector, vector[], integer) IS
    'the k nearest rows of each query, by cosine distance';

CREATE FUNCTION engram_nearest_add(state internal, id bigint, vector vector, queries vector[], k integer, metric text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_vector_nearest_bigint_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, bigint, vector, vector[], integer, text) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id bigint, vector vector, queries vector[], k integer, metric text) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(bigint, vector, vector[], integer, text) IS
    'the k nearest rows of each query, by the metric';

CREATE FUNCTION engram_nearest_add(state internal, id uuid, vector vector, queries vector[], k integer)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_vector_nearest_uuid_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, uuid, vector, vector[], integer) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id uuid, vector vector, queries vector[], k integer) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_uuid_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(uuid, vector, vector[], integer) IS
    'the k nearest rows of each query, by cosine distance';

CREATE FUNCTION engram_nearest_add(state internal, id uuid, vector vector, queries vector[], k integer, metric text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_vector_nearest_uuid_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, uuid, vector, vector[], integer, text) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id uuid, vector vector, queries vector[], k integer, metric text) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_uuid_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(uuid, vector, vector[], integer, text) IS
    'the k nearest rows of each query, by the metric';

CREATE FUNCTION engram_cosine_batch(query halfvec, candidates halfvec[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_cosine_batch' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION engram_cosine_matrix(queries halfvec[], candidates halfvec[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_cosine_matrix' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION engram_topk(query halfvec, candidates halfvec[], k integer)
    RETURNS TABLE (ordinal integer, similarity double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_topk' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION engram_cosine_batch(halfvec, halfvec[]) IS 'cosine similarity of each candidate';
COMMENT ON FUNCTION engram_cosine_matrix(halfvec[], halfvec[]) IS 'cosine similarity of each query and each candidate';
COMMENT ON FUNCTION engram_topk(halfvec, halfvec[], integer) IS 'the k candidates of greatest cosine similarity, best first';

CREATE FUNCTION engram_nearest_add(state internal, id bigint, vector halfvec, queries halfvec[], k integer)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_nearest_bigint_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, bigint, halfvec, halfvec[], integer) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id bigint, vector halfvec, queries halfvec[], k integer) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(bigint, halfvec, halfvec[], integer) IS
    'the k nearest rows of each query, by cosine distance';

CREATE FUNCTION engram_nearest_add(state internal, id bigint, vector halfvec, queries halfvec[], k integer, metric text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_nearest_bigint_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, bigint, halfvec, halfvec[], integer, text) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id bigint, vector halfvec, queries halfvec[], k integer, metric text) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(bigint, halfvec, halfvec[], integer, text) IS
    'the k nearest rows of each query, by the metric';

CREATE FUNCTION engram_nearest_add(state internal, id uuid, vector halfvec, queries halfvec[], k integer)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_nearest_uuid_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, uuid, halfvec, halfvec[], integer) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id uuid, vector halfvec, queries halfvec[], k integer) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_uuid_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(uuid, halfvec, halfvec[], integer) IS
    'the k nearest rows of each query, by cosine distance';

CREATE FUNCTION engram_nearest_add(state internal, id uuid, vector halfvec, queries halfvec[], k integer, metric text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_halfvec_nearest_uuid_add' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION engram_nearest_add(internal, uuid, halfvec, halfvec[], integer, text) IS 'part of engram_nearest';
CREATE AGGREGATE engram_nearest(id uuid, vector halfvec, queries halfvec[], k integer, metric text) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024, FINALFUNC = engram_nearest_uuid_result,
    COMBINEFUNC = engram_nearest_combine, SERIALFUNC = engram_nearest_serialize,
    DESERIALFUNC = engram_nearest_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(uuid, halfvec, halfvec[], integer, text) IS
    'the k nearest rows of each query, by the metric';

-- The index

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING engramk AS
    OPERATOR 3 <-> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 6 <->@ (vector, engram_vector_ball),
    FUNCTION 1 engram_vector_support(internal);
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING engramk AS
    OPERATOR 2 <#> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 5 <#>@ (vector, engram_vector_ball),
    FUNCTION 1 engram_vector_support(internal);
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING engramk AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 4 <=>@ (vector, engram_vector_ball),
    FUNCTION 1 engram_vector_support(internal);

CREATE OPERATOR CLASS halfvec_l2_ops DEFAULT FOR TYPE halfvec USING engramk AS
    OPERATOR 3 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 6 <->@ (halfvec, engram_halfvec_ball),
    FUNCTION 1 engram_halfvec_support(internal);
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING engramk AS
    OPERATOR 2 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 5 <#>@ (halfvec, engram_halfvec_ball),
    FUNCTION 1 engram_halfvec_support(internal);
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING engramk AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 4 <=>@ (halfvec, engram_halfvec_ball),
    FUNCTION 1 engram_halfvec_support(internal);

-- And it could have other operators.
DO LANGUAGE plpgsql $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_amop AS o JOIN pg_catalog.pg_am AS a ON a.oid = o.amopmethod
        WHERE a.amname = 'engramk' AND o.amoppurpose = 'o'
            AND o.amoplefttype IN (pg_catalog.to_regtype('vector'), pg_catalog.to_regtype('halfvec'))
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
                WHERE e.extname = 'vector' AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
                    AND d.classid = 'pg_catalog.pg_operator'::regclass AND d.objid = o.amopopr)) THEN
        RAISE EXCEPTION 'in this schema, an operator of vector or halfvec is not that of pgvector';
    END IF;
END
$$;
