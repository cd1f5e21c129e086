/* engramk--1.8--1.9.sql: many machines */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.9'" to load this file. \quit

-- The k nearest of each query, of what several servers have found

CREATE FUNCTION engram_nearest_merge_add(state internal, matches engram_match[], k integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_bigint_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_add(state internal, matches engram_uuid_match[], k integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_uuid_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_combine'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_serialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_deserialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_result(internal) RETURNS engram_match[]
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_bigint_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_uuid_result(internal) RETURNS engram_uuid_match[]
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_uuid_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;

CREATE AGGREGATE engram_nearest_merge(matches engram_match[], k integer) (
    SFUNC = engram_nearest_merge_add, STYPE = internal, SSPACE = 8192,
    FINALFUNC = engram_nearest_merge_result,
    COMBINEFUNC = engram_nearest_merge_combine,
    SERIALFUNC = engram_nearest_merge_serialize, DESERIALFUNC = engram_nearest_merge_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest_merge(engram_match[], integer) IS
    'the k nearest rows of each query, of the lists that engram_nearest found in several places';

CREATE AGGREGATE engram_nearest_merge(matches engram_uuid_match[], k integer) (
    SFUNC = engram_nearest_merge_add, STYPE = internal, SSPACE = 8192,
    FINALFUNC = engram_nearest_merge_uuid_result,
    COMBINEFUNC = engram_nearest_merge_combine,
    SERIALFUNC = engram_nearest_merge_serialize, DESERIALFUNC = engram_nearest_merge_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest_merge(engram_uuid_match[], integer) IS
    'the k nearest rows of each query, of the lists that engram_nearest found in several places';

COMMENT ON FUNCTION engram_nearest_merge_add(internal, engram_match[], integer) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_add(internal, engram_uuid_match[], integer) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_combine(internal, internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_serialize(internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_deserialize(bytea, internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_result(internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_uuid_result(internal) IS 'part of engram_nearest_merge';

-- The same question to several servers

CREATE FUNCTION engram_fan_out(
    servers name[], statement text, parameters text[], k integer, allow_missing boolean DEFAULT false)
    RETURNS TABLE (server name, id bigint, distance double precision, error text)
    AS 'MODULE_PATHNAME', 'ek_sql_fan_out'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 10
    SET client_min_messages = warning;
COMMENT ON FUNCTION engram_fan_out(name[], text, text[], integer, boolean) IS
    'the k nearest of the rows (id, distance) that a SELECT gives on foreign servers';

CREATE FUNCTION engram_uuid_fan_out(
    servers name[], statement text, parameters text[], k integer, allow_missing boolean DEFAULT false)
    RETURNS TABLE (server name, id uuid, distance double precision, error text)
    AS 'MODULE_PATHNAME', 'ek_sql_uuid_fan_out'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 10
    SET client_min_messages = warning;
COMMENT ON FUNCTION engram_uuid_fan_out(name[], text, text[], integer, boolean) IS
    'the k nearest of the rows (id, distance) that a SELECT gives on foreign servers';
