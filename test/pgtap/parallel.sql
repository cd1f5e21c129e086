-- Parallel workers take over the level of their session, whoever's session it
-- is and however the level was chosen, and give the same bits.
--
-- Each way to choose needs a session of its own, so this works in a database
-- and with a role of its own and collects psql variables, which outlive a
-- connection; the last session judges.
SET client_min_messages = warning;
SELECT format('dbname=%s user=%s', current_database(), current_user) AS home,
	format('dbname=engramk_parallel user=%s', current_user) AS superuser \gset
\set worker 'dbname=engramk_parallel user=engramk_worker password=engramk_worker'
DROP DATABASE IF EXISTS engramk_parallel;
DROP ROLE IF EXISTS engramk_worker;
CREATE DATABASE engramk_parallel;
CREATE ROLE engramk_worker LOGIN PASSWORD 'engramk_worker';
-- Refused settings are warned of, in the session and in each of its workers.
ALTER ROLE engramk_worker SET client_min_messages = error;

-- All rows are computed by workers.
ALTER DATABASE engramk_parallel SET parallel_setup_cost = 0;
ALTER DATABASE engramk_parallel SET parallel_tuple_cost = 0;
ALTER DATABASE engramk_parallel SET min_parallel_table_scan_size = 0;
ALTER DATABASE engramk_parallel SET parallel_leader_participation = off;

\connect :superuser
SET client_min_messages = warning;
CREATE EXTENSION pgtap;
CREATE EXTENSION engramk;

CREATE TABLE item AS
	SELECT i AS id, (SELECT array_agg(sin(i * 37 + j)::real ORDER BY j) FROM generate_series(1, 67) j) AS embedding
	FROM generate_series(1, 600) i;
ALTER TABLE item SET (parallel_workers = 2);
ANALYZE item;
SELECT embedding AS query FROM item WHERE id = 7 \gset

-- Declared parallel safe, to look into the workers.
CREATE FUNCTION simd_info_here() RETURNS TABLE (level text, compiled boolean, supported boolean, active boolean)
	AS '$libdir/engramk', 'ek_sql_simd_info' LANGUAGE C STRICT PARALLEL SAFE;
CREATE FUNCTION level_here() RETURNS text LANGUAGE sql PARALLEL SAFE
	AS 'SELECT level FROM simd_info_here() WHERE active';
CREATE FUNCTION pid_here() RETURNS integer LANGUAGE internal PARALLEL SAFE AS 'pg_backend_pid';
-- A sum of these is exact, and independent of the order of rows.
CREATE FUNCTION hash_of(v double precision) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	AS 'SELECT hashtextextended(float8send(v)::text, 0)::numeric';

-- With a constant, a sub-select, on either side, and many candidates.
CREATE VIEW measured AS
	SELECT sum(hash_of(embedding <=> :'query'))
			+ sum(hash_of((SELECT embedding FROM item WHERE id = 7) <-> embedding))
			+ sum(hash_of(:'query' <+> embedding))
			+ sum(hash_of(embedding <#> embedding))
			+ sum(hash_of(engram_norm(engram_normalize(embedding))))
			+ sum(hash_of((engram_cosine_batch(:'query', embedding || embedding))[2])) AS bits,
		min(level_here()) AS level, max(level_here()) AS other_level,
		min(pid_here()) AS pid, max(pid_here()) AS other_pid
	FROM item;
CREATE VIEW measure AS
	SELECT bits, CASE WHEN level = other_level THEN level END AS level,
		pid <> pg_backend_pid() AND other_pid <> pg_backend_pid() AS parallel
	FROM measured;

-- Hidden from the planner and the leader: the worker is the first to load the
-- library, when it has taken over the parameters already.
CREATE FUNCTION hidden_distance(a real[], b real[]) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
	AS 'BEGIN RETURN a <=> b; END';
CREATE FUNCTION hidden_level() RETURNS text LANGUAGE plpgsql PARALLEL SAFE
	AS 'BEGIN RETURN level_here(); END';
CREATE FUNCTION hidden_arena_size() RETURNS text LANGUAGE plpgsql PARALLEL SAFE
	AS 'BEGIN PERFORM level_here(); RETURN current_setting(''engramk.arena_size''); END';
CREATE VIEW measure_hidden AS
	SELECT bits, CASE WHEN level = other_level THEN level END AS level, pid <> pg_backend_pid() AS parallel,
		arena_size
	FROM (SELECT sum(hash_of(hidden_distance(embedding, :'query'))) AS bits,
		min(hidden_level()) AS level, max(hidden_level()) AS other_level, min(pid_here()) AS pid,
		min(hidden_arena_size()) AS arena_size FROM item) x;
GRANT SELECT ON item, measured, measure, measure_hidden TO engramk_worker;

SELECT level AS best FROM engram_simd_info() WHERE supported LIMIT 1 \gset
SELECT level AS lacking FROM engram_simd_info() WHERE NOT compiled LIMIT 1 \gset
-- A level to pin that is not what "on" would use, where there is one.
SELECT coalesce((SELECT level FROM engram_simd_info() WHERE supported AND level <> 'scalar' ORDER BY level LIMIT 1), 'off') AS pinned \gset
SELECT CASE :'pinned' WHEN 'off' THEN 'scalar' ELSE :'pinned' END AS pinned_level \gset

-- The reference: one backend.
SET max_parallel_workers_per_gather = 0;
SELECT * FROM measure \gset serial_
SELECT bits FROM measure_hidden \gset serial_hidden_
RESET max_parallel_workers_per_gather;
SELECT * FROM measure \gset superuser_

-- A user, and nobody chose.
\connect :worker
SELECT * FROM measure \gset default_
\connect :worker
SELECT * FROM measure_hidden \gset default_hidden_

-- Set by a superuser who becomes a user.
\connect :superuser
SET engramk.simd = off;
SET ROLE engramk_worker;
SELECT * FROM measure \gset set_off_
RESET ROLE;
SET engramk.simd = :pinned;
SET SESSION AUTHORIZATION engramk_worker;
SELECT * FROM measure \gset set_pinned_

-- Set before the library is loaded.
\connect :superuser
SET engramk.simd = off;
SET ROLE engramk_worker;
SELECT * FROM measure \gset set_before_load_
RESET ROLE;

-- Before the minor releases of November 2024 a worker that is the first to load the library
-- cannot take over a value, which is an error; there the session loads it at its start.
SELECT v < 140014 OR v BETWEEN 150000 AND 150008 OR v BETWEEN 160000 AND 160004 AS sessions_load
FROM CAST(current_setting('server_version_num') AS integer) AS v \gset
\if :sessions_load
ALTER DATABASE engramk_parallel SET session_preload_libraries = 'engramk';
\endif

-- Stored for the role, for the database, and for both.
ALTER ROLE engramk_worker SET engramk.simd = off;
ALTER ROLE engramk_worker SET engramk.arena_size = '1MB';
\connect :worker
SELECT * FROM measure \gset role_off_
\connect :worker
SELECT * FROM measure_hidden \gset role_off_hidden_
\connect :superuser
ALTER DATABASE engramk_parallel SET engramk.simd = off;
ALTER ROLE engramk_worker SET engramk.simd = :pinned;
\connect :worker
SELECT * FROM measure \gset role_pinned_
\connect :superuser
ALTER ROLE engramk_worker RESET engramk.simd;
\connect :worker
SELECT * FROM measure \gset database_off_

-- Refused: a level that this CPU lacks, and a user's own choice.
\connect :superuser
SELECT engram_norm('{3,4}') \gset
SET client_min_messages = warning;
ALTER DATABASE engramk_parallel SET engramk.simd = :lacking;
\connect :worker
SELECT * FROM measure \gset lacking_
\connect :worker
SELECT * FROM measure_hidden \gset lacking_hidden_
\connect :superuser
ALTER DATABASE engramk_parallel RESET engramk.simd;
\set optioned :worker ' options=''-c engramk.simd=on'''
\connect :optioned
SELECT * FROM measure \gset option_
\connect :optioned
SELECT * FROM measure_hidden \gset option_hidden_
\connect :superuser
ALTER DATABASE engramk_parallel RESET session_preload_libraries;
\connect :worker
SET engramk.simd = on;
SELECT * FROM measure \gset user_set_
-- The next query starts new workers.
SELECT * FROM measure \gset user_set_again_

-- Granted.
\connect :superuser
SELECT current_setting('server_version_num')::integer >= 150000 AS has_grant \gset
\if :has_grant
GRANT SET ON PARAMETER engramk.simd TO engramk_worker;
\connect :worker
SET engramk.simd = off;
SELECT * FROM measure \gset granted_before_load_
SET engramk.simd = :pinned;
SELECT * FROM measure \gset granted_
\connect :superuser
REVOKE SET ON PARAMETER engramk.simd FROM engramk_worker;
\else
\set granted_bits :serial_bits
\set granted_level :pinned_level
\set granted_parallel t
\set granted_before_load_bits :serial_bits
\set granted_before_load_level scalar
\set granted_before_load_parallel t
\endif

\connect :superuser
SET client_min_messages = warning;
CREATE TEMPORARY TABLE outcome (
	id integer GENERATED ALWAYS AS IDENTITY, name text, expected_level text, bits numeric, level text, parallel boolean, expected_bits numeric);
INSERT INTO outcome (name, expected_level, bits, level, parallel, expected_bits) VALUES
	('superuser', :'best', :superuser_bits, :'superuser_level', :'superuser_parallel', :serial_bits),
	('user', :'best', :default_bits, :'default_level', :'default_parallel', :serial_bits),
	('user, library first loaded by the worker', :'best', :default_hidden_bits, :'default_hidden_level', :'default_hidden_parallel', :serial_hidden_bits),
	('SET off, then SET ROLE', 'scalar', :set_off_bits, :'set_off_level', :'set_off_parallel', :serial_bits),
	('SET to a level, then SET SESSION AUTHORIZATION', :'pinned_level', :set_pinned_bits, :'set_pinned_level', :'set_pinned_parallel', :serial_bits),
	('SET off before load, then SET ROLE', 'scalar', :set_before_load_bits, :'set_before_load_level', :'set_before_load_parallel', :serial_bits),
	('ALTER ROLE SET off', 'scalar', :role_off_bits, :'role_off_level', :'role_off_parallel', :serial_bits),
	('ALTER ROLE SET off, library first loaded by the worker', 'scalar', :role_off_hidden_bits, :'role_off_hidden_level', :'role_off_hidden_parallel', :serial_hidden_bits),
	('ALTER ROLE SET to a level', :'pinned_level', :role_pinned_bits, :'role_pinned_level', :'role_pinned_parallel', :serial_bits),
	('ALTER DATABASE SET off', 'scalar', :database_off_bits, :'database_off_level', :'database_off_parallel', :serial_bits),
	('ALTER DATABASE SET to a level this CPU lacks', 'scalar', :lacking_bits, :'lacking_level', :'lacking_parallel', :serial_bits),
	('ALTER DATABASE SET to a level this CPU lacks, library first loaded by the worker', 'scalar', :lacking_hidden_bits, :'lacking_hidden_level', :'lacking_hidden_parallel', :serial_hidden_bits),
	('connection option of a user', 'scalar', :option_bits, :'option_level', :'option_parallel', :serial_bits),
	('connection option of a user, library first loaded by the worker', 'scalar', :option_hidden_bits, :'option_hidden_level', :'option_hidden_parallel', :serial_hidden_bits),
	('SET by a user before load', 'scalar', :user_set_bits, :'user_set_level', :'user_set_parallel', :serial_bits),
	('SET by a user before load, next query', 'scalar', :user_set_again_bits, :'user_set_again_level', :'user_set_again_parallel', :serial_bits),
	('SET off before load by a user who was granted it', 'scalar', :granted_before_load_bits, :'granted_before_load_level', :'granted_before_load_parallel', :serial_bits),
	('SET to a level by a user who was granted it', :'pinned_level', :granted_bits, :'granted_level', :'granted_parallel', :serial_bits);

SELECT plan(3 * count(*)::integer + 1) FROM outcome;
SELECT ok(parallel, name || ': workers computed') FROM outcome ORDER BY id;
SELECT is(level, expected_level, name || ': at this level') FROM outcome ORDER BY id;
SELECT is(bits, expected_bits, name || ': the same bits') FROM outcome ORDER BY id;
SELECT is(:'role_off_hidden_arena_size'::text, '1MB', 'ALTER ROLE SET arena_size, library first loaded by the worker');
SELECT * FROM finish();

\connect :home
DROP DATABASE engramk_parallel;
DROP ROLE engramk_worker;
