/* engramk--1.5--1.6.sql: indexes in a third format */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.6'" to load this file. \quit

-- Columns that come after those it has: see 1.5.
UPDATE pg_catalog.pg_proc SET
    proallargtypes = proallargtypes OPERATOR(pg_catalog.||)
        ARRAY['bigint', 'boolean', 'text[]']::pg_catalog.regtype[]::pg_catalog.oid[],
    proargmodes = proargmodes OPERATOR(pg_catalog.||) '{o,o,o}'::"char"[],
    proargnames = proargnames OPERATOR(pg_catalog.||) '{basis_vectors,recoding,slow_because}'::text[],
    prosrc = 'ek_sql_index_info_1_6'
WHERE oid OPERATOR(pg_catalog.=) 'engram_index_info(regclass)'::pg_catalog.regprocedure;

CREATE FUNCTION engram_index_slow_because(index regclass) RETURNS text[]
    AS 'MODULE_PATHNAME', 'ek_sql_index_slow_because'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_index_slow_because(regclass) IS
    'why scans of an engramk index are slower than they could be; empty if they are not, NULL if unknown';

-- The statistics have no such column: going back would take views and privileges on them away.
CREATE VIEW engram_slow_indexes AS
    SELECT i.indexrelid, n.nspname AS schemaname, t.relname, c.relname AS indexrelname, s.slow_because
    FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
        JOIN pg_catalog.pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk'
        JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
        LATERAL engram_index_slow_because(i.indexrelid) AS s (slow_because)
    WHERE i.indisvalid AND s.slow_because <> '{}';
COMMENT ON VIEW engram_slow_indexes IS
    'engramk: indexes of this database whose scans are slower than they could be, and why';
GRANT SELECT ON engram_slow_indexes TO PUBLIC;
