/* engramk--1.2--1.3.sql: many against many */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.3'" to load this file. \quit

-- The k nearest of each query, as an aggregate over the targets.
--
-- COST is that of a few dozen queries: large tables are read in parallel, and
-- PostgreSQL does not compile the query for them (jit_above_cost).  SSPACE is
-- that of one query among many groups, which share what is prepared of it.

CREATE TYPE engram_match AS (query integer, id bigint, distance double precision);
COMMENT ON TYPE engram_match IS 'a neighbour that engram_nearest found, with the number of its query';

CREATE TYPE engram_uuid_match AS (query integer, id uuid, distance double precision);
COMMENT ON TYPE engram_uuid_match IS 'a neighbour that engram_nearest found, with the number of its query';

CREATE FUNCTION engram_nearest_add(state internal, id bigint, vector real[], queries real[], k integer)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_bigint_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_add(state internal, id bigint, vector real[], queries real[], k integer, metric text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_bigint_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_add(state internal, id uuid, vector real[], queries real[], k integer)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_uuid_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_add(state internal, id uuid, vector real[], queries real[], k integer, metric text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_uuid_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;

CREATE FUNCTION engram_nearest_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_combine'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_serialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_deserialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_result(internal) RETURNS engram_match[]
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_bigint_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_uuid_result(internal) RETURNS engram_uuid_match[]
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_uuid_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;

CREATE AGGREGATE engram_nearest(id bigint, vector real[], queries real[], k integer) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024,
    FINALFUNC = engram_nearest_result,
    COMBINEFUNC = engram_nearest_combine,
    SERIALFUNC = engram_nearest_serialize, DESERIALFUNC = engram_nearest_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(bigint, real[], real[], integer) IS
    'the k nearest rows of each query, by cosine distance';

CREATE AGGREGATE engram_nearest(id bigint, vector real[], queries real[], k integer, metric text) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024,
    FINALFUNC = engram_nearest_result,
    COMBINEFUNC = engram_nearest_combine,
    SERIALFUNC = engram_nearest_serialize, DESERIALFUNC = engram_nearest_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(bigint, real[], real[], integer, text) IS
    'the k nearest rows of each query, by the metric';

CREATE AGGREGATE engram_nearest(id uuid, vector real[], queries real[], k integer) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024,
    FINALFUNC = engram_nearest_uuid_result,
    COMBINEFUNC = engram_nearest_combine,
    SERIALFUNC = engram_nearest_serialize, DESERIALFUNC = engram_nearest_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(uuid, real[], real[], integer) IS
    'the k nearest rows of each query, by cosine distance';

CREATE AGGREGATE engram_nearest(id uuid, vector real[], queries real[], k integer, metric text) (
    SFUNC = engram_nearest_add, STYPE = internal, SSPACE = 1024,
    FINALFUNC = engram_nearest_uuid_result,
    COMBINEFUNC = engram_nearest_combine,
    SERIALFUNC = engram_nearest_serialize, DESERIALFUNC = engram_nearest_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest(uuid, real[], real[], integer, text) IS
    'the k nearest rows of each query, by the metric';

-- The same for two queries in SQL

CREATE FUNCTION engram_knn_join(
    queries text, targets text, k integer, metric text DEFAULT 'cosine',
    exclude_self boolean DEFAULT false)
    RETURNS TABLE (query_id bigint, target_id bigint, rank integer, distance double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_knn_join'
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100000 ROWS 10000;
COMMENT ON FUNCTION engram_knn_join(text, text, integer, text, boolean) IS
    'the k nearest targets of each query, both of them a SELECT of (id, vector)';

-- Centroids

CREATE FUNCTION engram_sum_add(state internal, vector real[]) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_sum_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION engram_sum_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_sum_combine'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION engram_sum_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'ek_sql_sum_serialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_sum_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_sum_deserialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
CREATE FUNCTION engram_sum_result(internal) RETURNS real[]
    AS 'MODULE_PATHNAME', 'ek_sql_sum_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION engram_avg_result(internal) RETURNS real[]
    AS 'MODULE_PATHNAME', 'ek_sql_avg_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;

CREATE AGGREGATE engram_sum(vector real[]) (
    SFUNC = engram_sum_add, STYPE = internal, SSPACE = 4096,
    FINALFUNC = engram_sum_result,
    COMBINEFUNC = engram_sum_combine,
    SERIALFUNC = engram_sum_serialize, DESERIALFUNC = engram_sum_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_sum(real[]) IS 'the sum of vectors';

CREATE AGGREGATE engram_avg(vector real[]) (
    SFUNC = engram_sum_add, STYPE = internal, SSPACE = 4096,
    FINALFUNC = engram_avg_result,
    COMBINEFUNC = engram_sum_combine,
    SERIALFUNC = engram_sum_serialize, DESERIALFUNC = engram_sum_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_avg(real[]) IS 'the mean of vectors, their centroid';

-- Arrays

CREATE FUNCTION engram_cosine_matrix(queries real[], candidates real[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'ek_sql_cosine_matrix'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;
COMMENT ON FUNCTION engram_cosine_matrix(real[], real[]) IS
    'cosine similarity of each query and each candidate';

-- What the aggregates are made of

COMMENT ON FUNCTION engram_nearest_add(internal, bigint, real[], real[], integer) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_add(internal, bigint, real[], real[], integer, text) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_add(internal, uuid, real[], real[], integer) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_add(internal, uuid, real[], real[], integer, text) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_combine(internal, internal) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_serialize(internal) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_deserialize(bytea, internal) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_result(internal) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_nearest_uuid_result(internal) IS 'part of engram_nearest';
COMMENT ON FUNCTION engram_sum_add(internal, real[]) IS 'part of engram_sum and engram_avg';
COMMENT ON FUNCTION engram_sum_combine(internal, internal) IS 'part of engram_sum and engram_avg';
COMMENT ON FUNCTION engram_sum_serialize(internal) IS 'part of engram_sum and engram_avg';
COMMENT ON FUNCTION engram_sum_deserialize(bytea, internal) IS 'part of engram_sum and engram_avg';
COMMENT ON FUNCTION engram_sum_result(internal) IS 'part of engram_sum';
COMMENT ON FUNCTION engram_avg_result(internal) IS 'part of engram_avg';
