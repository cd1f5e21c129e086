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

DROP FUNCTION engram_index_info(regclass);
CREATE FUNCTION engram_index_info(
    index regclass, OUT dimensions integer, OUT vectors bigint, OUT dead bigint,
    OUT bytes_per_vector double precision, OUT basis integer, OUT coarse_bits integer,
    OUT sampled integer, OUT pages bigint, OUT format integer,
    OUT coarse_bytes double precision, OUT fine_bytes double precision,
    OUT widths integer[], OUT survivors_expected bigint,
    OUT survivors double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_index_info_1_5'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_index_info(regclass) IS
    'what an engramk index holds';
