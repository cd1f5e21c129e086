/* engramk--1.4--1.5.sql: indexes in a second format */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.5'" to load this file. \quit

-- The library builds indexes in the format of the version that SQL has.  Before
-- the way back this function says which of them the older library cannot read.
CREATE FUNCTION engram_require_format(format integer) RETURNS void
    AS 'MODULE_PATHNAME', 'ek_sql_require_format'
    LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION engram_require_format(integer) IS
    'an error that names the engramk indexes of this database whose format is later';
REVOKE ALL ON FUNCTION engram_require_format(integer) FROM PUBLIC;

-- Columns that come after those it has.  CREATE OR REPLACE would refuse them, and to
-- drop it takes privileges and views with it, so its declaration is changed the hard way.
UPDATE pg_catalog.pg_proc SET
    proallargtypes = proallargtypes OPERATOR(pg_catalog.||)
        ARRAY['integer', 'double precision', 'double precision', 'integer[]', 'bigint',
              'double precision']::pg_catalog.regtype[]::pg_catalog.oid[],
    proargmodes = proargmodes OPERATOR(pg_catalog.||) '{o,o,o,o,o,o}'::"char"[],
    proargnames = proargnames OPERATOR(pg_catalog.||)
        '{format,coarse_bytes,fine_bytes,widths,survivors_expected,survivors}'::text[],
    prosrc = 'ek_sql_index_info_1_5'
WHERE oid OPERATOR(pg_catalog.=) 'engram_index_info(regclass)'::pg_catalog.regprocedure;
