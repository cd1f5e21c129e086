-- Makes the role that an exporter connects as.  Run it as a superuser with psql,
-- in the database that the exporter will use, after CREATE EXTENSION engramk:
--
--     psql -X -d mydb -f engramk_monitor.sql
--
-- Set a password afterwards, or let pg_hba.conf trust a socket.
\set ON_ERROR_STOP on

CREATE ROLE engramk_monitor LOGIN CONNECTION LIMIT 5;

-- engram_stat_backends shows what other users do, which is for pg_read_all_stats.
GRANT pg_monitor TO engramk_monitor;
ALTER ROLE engramk_monitor SET statement_timeout = '5s';

-- The queries name no schema: find the extension wherever it was put.
SELECT format('ALTER ROLE engramk_monitor SET search_path = pg_catalog, %I', extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec
SELECT format('GRANT USAGE ON SCHEMA %I TO engramk_monitor', extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec
