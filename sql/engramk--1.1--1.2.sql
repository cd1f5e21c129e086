/* engramk--1.1--1.2.sql: the exact index */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.2'" to load this file. \quit

CREATE FUNCTION engramk_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'ek_sql_index_handler'
    LANGUAGE C STRICT;

CREATE ACCESS METHOD engramk TYPE INDEX HANDLER engramk_handler;
COMMENT ON ACCESS METHOD engramk IS 'exact nearest neighbours of real[] vectors';

CREATE OPERATOR CLASS engram_ops DEFAULT FOR TYPE real[] USING engramk AS
    OPERATOR 1 <=> (real[], real[]) FOR ORDER BY float_ops,
    OPERATOR 2 <#> (real[], real[]) FOR ORDER BY float_ops,
    OPERATOR 3 <-> (real[], real[]) FOR ORDER BY float_ops;

-- Looking into an index

CREATE FUNCTION engram_index_info(
    index regclass, OUT dimensions integer, OUT vectors bigint, OUT dead bigint,
    OUT bytes_per_vector double precision, OUT basis integer, OUT coarse_bits integer,
    OUT sampled integer, OUT pages bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_index_info'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_index_info(regclass) IS
    'what an engramk index holds';

CREATE FUNCTION engram_index_check(index regclass) RETURNS bigint
    AS 'MODULE_PATHNAME', 'ek_sql_index_check'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_index_check(regclass) IS
    'verifies every entry of an engramk index against its table; returns how many rows were compared';

CREATE FUNCTION engram_stat_get_index(
    index oid, OUT scans bigint, OUT passes bigint, OUT coarse_codes bigint,
    OUT fine_codes bigint, OUT reranked bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_index_counts'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

CREATE VIEW engram_stat_indexes AS
    SELECT i.indexrelid, n.nspname AS schemaname, t.relname, c.relname AS indexrelname,
        s.scans, s.passes, s.coarse_codes, s.fine_codes, s.reranked
    FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
        JOIN pg_catalog.pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk'
        JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
        LATERAL engram_stat_get_index(i.indexrelid) AS s;
COMMENT ON VIEW engram_stat_indexes IS
    'engramk: what the scans of each engramk index of this database did since stats_reset';
GRANT SELECT ON engram_stat_indexes TO PUBLIC;
