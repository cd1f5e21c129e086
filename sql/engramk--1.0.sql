/* engramk--1.0.sql: the base script.  Frozen: later versions are reached by upgrade scripts. */

-- complain if the script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION engramk" to load this file. \quit

-- Two vectors.
--
-- COST is in units of cpu_operator_cost; it is that of some hundred dimensions
-- and makes the planner compute a distance in a target list after LIMIT.

CREATE FUNCTION engram_cosine(a real[], b real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_cosine'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_cosine(real[], real[]) IS
    'cosine similarity, -1 to 1; 0 for a zero vector';

CREATE FUNCTION engram_cosine_distance(a real[], b real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_cosine_distance'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_cosine_distance(real[], real[]) IS
    'implementation of <=> operator';

CREATE FUNCTION engram_inner_product(a real[], b real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_inner_product'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_inner_product(real[], real[]) IS
    'inner product';

CREATE FUNCTION engram_negative_inner_product(a real[], b real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_negative_inner_product'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_negative_inner_product(real[], real[]) IS
    'implementation of <#> operator';

CREATE FUNCTION engram_l2_distance(a real[], b real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_l2_distance'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_l2_distance(real[], real[]) IS
    'implementation of <-> operator';

CREATE FUNCTION engram_l1_distance(a real[], b real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_l1_distance'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_l1_distance(real[], real[]) IS
    'implementation of <+> operator';

CREATE OPERATOR <=> (
    LEFTARG = real[], RIGHTARG = real[],
    FUNCTION = engram_cosine_distance, COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (real[], real[]) IS 'cosine distance';

CREATE OPERATOR <#> (
    LEFTARG = real[], RIGHTARG = real[],
    FUNCTION = engram_negative_inner_product, COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (real[], real[]) IS 'negative inner product';

CREATE OPERATOR <-> (
    LEFTARG = real[], RIGHTARG = real[],
    FUNCTION = engram_l2_distance, COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (real[], real[]) IS 'Euclidean distance';

CREATE OPERATOR <+> (
    LEFTARG = real[], RIGHTARG = real[],
    FUNCTION = engram_l1_distance, COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (real[], real[]) IS 'taxicab distance';

-- One vector

CREATE FUNCTION engram_norm(a real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'ek_sql_norm'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_norm(real[]) IS
    'Euclidean length';

CREATE FUNCTION engram_normalize(a real[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'ek_sql_normalize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION engram_normalize(real[]) IS
    'the same direction with length 1; a zero vector stays zero';

CREATE FUNCTION engram_is_valid(a real[]) RETURNS boolean
    AS 'MODULE_PATHNAME', 'ek_sql_is_valid'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION engram_is_valid(real[]) IS
    'is it a vector: one-dimensional, not empty, no nulls, all elements finite?';

-- One query, many candidates

CREATE FUNCTION engram_cosine_batch(query real[], candidates real[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'ek_sql_cosine_batch'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION engram_cosine_batch(real[], real[]) IS
    'cosine similarity of each candidate';

CREATE FUNCTION engram_topk(query real[], candidates real[], k integer)
    RETURNS TABLE (ordinal integer, similarity double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_topk'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION engram_topk(real[], real[], integer) IS
    'the k candidates of greatest cosine similarity, best first';

-- The backend

CREATE FUNCTION engram_simd_info()
    RETURNS TABLE (level text, compiled boolean, supported boolean, active boolean)
    AS 'MODULE_PATHNAME', 'ek_sql_simd_info'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 4;
COMMENT ON FUNCTION engram_simd_info() IS
    'the levels of engramk, and which of them this backend uses';

CREATE FUNCTION engram_arena_stats(
    OUT capacity bigint, OUT resets bigint, OUT overflows bigint,
    OUT overflow_bytes bigint, OUT high_water bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_arena_stats'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_arena_stats() IS
    'use of the scratch memory of this backend';
