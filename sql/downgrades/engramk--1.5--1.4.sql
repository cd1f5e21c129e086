/* engramk--1.5--1.4.sql: only if version 1.4 can read every index */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.4'" to load this file. \quit

SELECT engram_require_format(1);

DROP FUNCTION engram_require_format(integer);

DROP FUNCTION engram_index_info(regclass);
CREATE FUNCTION engram_index_info(
    index regclass, OUT dimensions integer, OUT vectors bigint, OUT dead bigint,
    OUT bytes_per_vector double precision, OUT basis integer, OUT coarse_bits integer,
    OUT sampled integer, OUT pages bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_index_info'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_index_info(regclass) IS
    'what an engramk index holds';
