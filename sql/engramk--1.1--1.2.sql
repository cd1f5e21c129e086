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
