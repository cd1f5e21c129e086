-- Makes the role that an exporter connects as.  Run it as a superuser with psql,
-- in the database that the exporter will use, after CREATE EXTENSION engramk:
--
--     psql -X -d mydb -f engramk_monitor.sql
--
-- Set a password afterwards, or let pg_hba.conf trust a socket.  It may be run again,
-- and in further databases.
\set ON_ERROR_STOP on

SELECT 'CREATE ROLE engramk_monitor LOGIN CONNECTION LIMIT 5'
	WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'engramk_monitor')
\gexec

-- engram_stat_backends shows what other users do, which is for pg_read_all_stats.
GRANT pg_monitor TO engramk_monitor;
ALTER ROLE engramk_monitor SET statement_timeout = '5s';

-- engram_index_info is for whoever may read the table.  The role need not, to know how
-- large an index is: this asks as the superuser who runs this, and tells sizes only.  It
-- looks for nothing in a schema where others may put functions that fit its calls better.
SELECT format('DROP FUNCTION IF EXISTS %I.engramk_monitor_indexes()', extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec
SELECT format($$
	CREATE FUNCTION %1$I.engramk_monitor_indexes(
		OUT index text, OUT vectors bigint, OUT dead bigint, OUT size_bytes bigint)
		RETURNS SETOF record
		LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'SELECT format(''%%I.%%I'', n.nspname, c.relname), h.vectors, h.dead, pg_relation_size(c.oid)
		FROM pg_class AS c
			JOIN pg_am AS a ON a.oid = c.relam AND a.amname = ''engramk''
			JOIN pg_index AS i ON i.indexrelid = c.oid AND i.indisvalid
			JOIN pg_namespace AS n ON n.oid = c.relnamespace,
			LATERAL %1$I.engram_index_info(c.oid::regclass) AS h
		WHERE c.relkind = ''i''
			AND (c.relpersistence = ''p'' OR c.relpersistence = ''u'' AND NOT pg_is_in_recovery())'$$,
	extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec

-- The same for why scans of an index are slower than they could be, which versions
-- before 1.6 do not tell: going back to one of them does no harm to this.
SELECT format('DROP FUNCTION IF EXISTS %I.engramk_monitor_slow_indexes()', extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec
SELECT format($$
	CREATE FUNCTION %1$I.engramk_monitor_slow_indexes(OUT index text, OUT reason text)
		RETURNS SETOF record
		LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $function$ BEGIN
		IF to_regprocedure(%2$L) IS NOT NULL THEN
			RETURN QUERY EXECUTE $query$
				SELECT format('%%I.%%I', n.nspname, c.relname), s.reason
				FROM pg_class AS c
					JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk'
					JOIN pg_index AS i ON i.indexrelid = c.oid AND i.indisvalid
					JOIN pg_namespace AS n ON n.oid = c.relnamespace,
					LATERAL unnest(%1$I.engram_index_slow_because(c.oid::regclass)) AS s (reason)
				WHERE c.relkind = 'i' AND c.relpersistence <> 't' $query$;
		END IF;
	END $function$ $$,
	extnamespace::regnamespace::name, format('%I.engram_index_slow_because(regclass)', extnamespace::regnamespace::name))
	FROM pg_extension WHERE extname = 'engramk'
\gexec

SELECT format('REVOKE EXECUTE ON FUNCTION %I.%I() FROM PUBLIC', extnamespace::regnamespace::name, f)
	FROM pg_extension, unnest(ARRAY['engramk_monitor_indexes', 'engramk_monitor_slow_indexes']) AS f WHERE extname = 'engramk'
\gexec
SELECT format('GRANT EXECUTE ON FUNCTION %I.%I() TO engramk_monitor', extnamespace::regnamespace::name, f)
	FROM pg_extension, unnest(ARRAY['engramk_monitor_indexes', 'engramk_monitor_slow_indexes']) AS f WHERE extname = 'engramk'
\gexec

-- The queries name no schema: find the extension wherever it was put.
SELECT format('ALTER ROLE engramk_monitor SET search_path = pg_catalog, %I', extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec
SELECT format('GRANT USAGE ON SCHEMA %I TO engramk_monitor', extnamespace::regnamespace::name)
	FROM pg_extension WHERE extname = 'engramk'
\gexec
