/* engramk--1.0--1.1.sql: statistics */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.1'" to load this file. \quit

-- Kernels

CREATE FUNCTION engram_stat_get_kernels()
    RETURNS TABLE (operation text, level text, calls bigint, candidates bigint, elements bigint,
        seconds double precision, timed_elements bigint, slowest double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_stat_kernels'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 21;

CREATE VIEW engram_stat_kernels AS SELECT * FROM engram_stat_get_kernels();
COMMENT ON VIEW engram_stat_kernels IS
    'engramk: work done since stats_reset, by operation and level';

-- Arena

CREATE FUNCTION engram_stat_get_arena(
    OUT resets bigint, OUT overflows bigint, OUT overflow_bytes bigint,
    OUT high_water bigint, OUT overflow_rate double precision)
    AS 'MODULE_PATHNAME', 'ek_sql_stat_arena'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

CREATE VIEW engram_stat_arena AS SELECT * FROM engram_stat_get_arena();
COMMENT ON VIEW engram_stat_arena IS
    'engramk: use of scratch memory since stats_reset, by all backends';

-- Errors

CREATE FUNCTION engram_stat_get_errors()
    RETURNS TABLE (kind text, errors bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_stat_errors'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;

CREATE VIEW engram_stat_errors AS SELECT * FROM engram_stat_get_errors();
COMMENT ON VIEW engram_stat_errors IS
    'engramk: errors raised since stats_reset, by kind';

-- Verification

CREATE FUNCTION engram_stat_get_verify(
    OUT checked bigint, OUT divergences bigint, OUT withdrawn bigint)
    AS 'MODULE_PATHNAME', 'ek_sql_stat_verify'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

CREATE VIEW engram_stat_verify AS SELECT * FROM engram_stat_get_verify();
COMMENT ON VIEW engram_stat_verify IS
    'engramk: kernel calls verified since stats_reset, and what was found';

-- Backends.  What other users are doing is for pg_read_all_stats.

CREATE FUNCTION engram_stat_get_backends()
    RETURNS TABLE (pid integer, level text, version text)
    AS 'MODULE_PATHNAME', 'ek_sql_stat_backends'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 100;
REVOKE ALL ON FUNCTION engram_stat_get_backends() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION engram_stat_get_backends() TO pg_read_all_stats;

CREATE VIEW engram_stat_backends AS
    SELECT b.pid, a.datname, a.usename, a.state, b.level, b.version
    FROM engram_stat_get_backends() AS b
        JOIN pg_catalog.pg_stat_activity AS a USING (pid);
COMMENT ON VIEW engram_stat_backends IS
    'engramk: sessions that have loaded it, with the level that each computes with';

-- The statistics themselves

CREATE FUNCTION engram_stat_get_info(OUT scope text, OUT stats_reset timestamptz)
    AS 'MODULE_PATHNAME', 'ek_sql_stat_info'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

CREATE VIEW engram_stat_info AS SELECT * FROM engram_stat_get_info();
COMMENT ON VIEW engram_stat_info IS
    'engramk: whether the statistics are of the cluster or of this backend, and since when';

CREATE FUNCTION engram_stat_reset() RETURNS void
    AS 'MODULE_PATHNAME', 'ek_sql_stat_reset'
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION engram_stat_reset() IS
    'sets the statistics of engramk back to zero, for all backends';
REVOKE ALL ON FUNCTION engram_stat_reset() FROM PUBLIC;

GRANT SELECT ON engram_stat_kernels, engram_stat_arena, engram_stat_errors,
    engram_stat_verify, engram_stat_info TO PUBLIC;
GRANT SELECT ON engram_stat_backends TO pg_read_all_stats;
