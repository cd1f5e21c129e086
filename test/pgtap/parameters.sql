-- The parameters of engramk: what they are, who may set them, and where.

-- ALTER SYSTEM cannot run in a transaction, so it comes first.  The library
-- must be loaded: before 17, ALTER SYSTEM refuses names that it does not know.
SET client_min_messages = warning;
CREATE EXTENSION engramk;
SELECT engram_norm('{3,4}') AS loaded \gset
ALTER SYSTEM SET engramk.simd = off;
ALTER SYSTEM SET engramk.arena_size = '4MB';
SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) AS in_file
	FROM pg_file_settings WHERE name LIKE 'engramk.%' \gset
ALTER SYSTEM RESET engramk.simd;
ALTER SYSTEM RESET engramk.arena_size;
SELECT count(*) AS left_in_file FROM pg_file_settings WHERE name LIKE 'engramk.%' \gset
DROP EXTENSION engramk;

BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION engramk;
SELECT no_plan();

SELECT is(:'in_file'::text, 'engramk.arena_size=4MB engramk.simd=off', 'ALTER SYSTEM writes what it was told');
SELECT is(:'left_in_file'::integer, 0, 'ALTER SYSTEM RESET takes it away');

-- What they are

SELECT results_eq(
	$$SELECT name, vartype, unit, boot_val, context, min_val, max_val, enumvals
	  FROM pg_settings WHERE name LIKE 'engramk.%' ORDER BY name$$,
	$$VALUES
		('engramk.arena_overflow', 'enum', NULL, 'fallback', 'user', NULL, NULL, '{fallback,error}'::text[]),
		('engramk.arena_size', 'integer', 'kB', '2048', 'user', '64', '1048576', NULL),
		('engramk.enable_fallback', 'bool', NULL, 'on', 'user', NULL, NULL, NULL),
		('engramk.simd', 'enum', NULL, 'on', 'superuser', NULL, NULL, '{on,off,avx2,avx512,neon}'),
		('engramk.track_timing', 'bool', NULL, 'off', 'superuser', NULL, NULL, NULL),
		('engramk.verify_rate', 'real', NULL, '0', 'superuser', '0', '1', NULL)$$,
	'there are exactly these parameters');
SELECT is_empty($$SELECT name FROM pg_settings WHERE name LIKE 'engramk.%' AND short_desc IS NULL$$,
	'each is described');
SELECT is(current_setting('engramk.arena_size'), '2MB', 'the default arena is 2MB');

-- Values

SELECT lives_ok('SET LOCAL engramk.arena_size = ''' || v || '''', 'arena_size takes ' || v)
	FROM unnest(ARRAY['64', '64kB', '0.5MB', '1GB', '1048576']) v;
SELECT throws_ok('SET LOCAL engramk.arena_size = ''' || v || '''', '22023', NULL, 'arena_size refuses ' || v)
	FROM unnest(ARRAY['0', '-1', '63', '1TB', '1048577', '2mb', 'much', '']) v;
SELECT lives_ok('SET LOCAL engramk.arena_overflow = ' || v, 'arena_overflow takes ' || v)
	FROM unnest(ARRAY['error', 'fallback', 'ERROR']) v;
SELECT throws_ok('SET LOCAL engramk.arena_overflow = ' || v, '22023', NULL, 'arena_overflow refuses ' || v)
	FROM unnest(ARRAY['on', 'ignore']) v;
SELECT throws_ok('SET LOCAL engramk.simd = ' || v, '22023', NULL, 'simd refuses ' || v)
	FROM unnest(ARRAY['scalar', 'best', '2']) v;
SELECT lives_ok('SET LOCAL engramk.track_timing = ' || v, 'track_timing takes ' || v)
	FROM unnest(ARRAY['on', 'off', 'true', '0']) v;
SELECT throws_ok('SET LOCAL engramk.track_timing = ' || v, '22023', NULL, 'track_timing refuses ' || v)
	FROM unnest(ARRAY['2', 'slow']) v;
SELECT lives_ok('SET LOCAL engramk.verify_rate = ''' || v || '''', 'verify_rate takes ' || v)
	FROM unnest(ARRAY['1', '0.001', '1e-9', '0']) v;
SELECT throws_ok('SET LOCAL engramk.verify_rate = ''' || v || '''', '22023', NULL, 'verify_rate refuses ' || v)
	FROM unnest(ARRAY['-0.001', '1.001', 'NaN', 'Infinity', '10%', 'on']) v;

-- One name is reserved for each, and no other can be made up.
SELECT throws_ok('SET LOCAL engramk.foo = 1', NULL, NULL, 'an unknown parameter of ours is refused');
SELECT throws_ok($$SELECT set_config('engramk.simd_level', 'on', true)$$, NULL, NULL, 'so it is by set_config');

-- Levels, as engram_simd_info() tells of them

CREATE FUNCTION active() RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(level, ',') FROM engram_simd_info() WHERE active$$;
SELECT results_eq('SELECT level FROM engram_simd_info()', ARRAY['avx512', 'avx2', 'neon', 'scalar'],
	'engram_simd_info has every level, best first');
SELECT ok(compiled AND supported, 'scalar is everywhere') FROM engram_simd_info() WHERE level = 'scalar';
SELECT is_empty('SELECT level FROM engram_simd_info() WHERE supported AND NOT compiled OR active AND NOT supported',
	'what is active is supported, what is supported is compiled');

SET LOCAL engramk.simd = on;
SELECT is(active(), (SELECT level FROM engram_simd_info() WHERE supported LIMIT 1), 'on uses the best supported level');
SET LOCAL engramk.simd = off;
SELECT is(active(), 'scalar', 'off uses scalar');
SELECT results_eq('SELECT level FROM engram_simd_info() WHERE active', ARRAY['scalar'], 'one level is active');

CREATE FUNCTION pinned(wanted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('engramk.simd', wanted, true);
	RETURN active();
END $$;
SELECT is(pinned(level), level, level || ' can be pinned, as this CPU has it')
	FROM engram_simd_info() WHERE supported AND level <> 'scalar';

-- A level that this CPU lacks: there is always one, of the other architecture.
SET LOCAL engramk.simd = off;
SELECT throws_ok('SET LOCAL engramk.simd = ' || level, '0A000',
		'invalid value for parameter "engramk.simd": "' || level || '"',
		level || ' cannot be set, as this CPU lacks it')
	FROM engram_simd_info() WHERE NOT supported;
SELECT is(active(), 'scalar', 'a refused level changes nothing');
SELECT isnt((SELECT count(*) FROM engram_simd_info() WHERE NOT compiled), 0::bigint, 'some level is lacking');
SELECT level AS lacking FROM engram_simd_info() WHERE NOT compiled ORDER BY level LIMIT 1 \gset

CREATE FUNCTION error_of(statement text, OUT code text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SELECT is(detail, 'This CPU does not support the level "' || :'lacking' || '".', 'the detail names the level')
	FROM error_of('SET LOCAL engramk.simd = ' || :'lacking');
SELECT matches(hint, 'engram_simd_info', 'the hint says where to look')
	FROM error_of('SET LOCAL engramk.simd = ' || :'lacking');

-- Stored for other sessions, it may be meant for a standby's CPU.
CREATE ROLE engramk_plain;
CREATE ROLE engramk_granted;
SELECT current_database() AS db \gset
SELECT lives_ok(format('ALTER DATABASE %I SET engramk.simd = %s', :'db', :'lacking'), 'ALTER DATABASE accepts a level this CPU lacks');
SELECT lives_ok(format('ALTER ROLE engramk_plain SET engramk.simd = %s', :'lacking'), 'ALTER ROLE accepts a level this CPU lacks');
SELECT is(count(*), 2::bigint, 'both are stored') FROM pg_db_role_setting WHERE 'engramk.simd=' || :'lacking' = ANY (setconfig);
SELECT throws_ok(format('ALTER DATABASE %I SET engramk.simd = nonsense', :'db'), '22023', NULL, 'ALTER DATABASE refuses an unknown value');
SELECT lives_ok(format('ALTER DATABASE %I SET engramk.simd = off', :'db'), 'ALTER DATABASE accepts off');
SELECT lives_ok(format('ALTER DATABASE %I RESET engramk.simd', :'db'), 'ALTER DATABASE RESET');
SELECT lives_ok('ALTER ROLE engramk_plain RESET engramk.simd', 'ALTER ROLE RESET');
SELECT is_empty(
	$$SELECT setconfig FROM pg_db_role_setting
	  WHERE setconfig::text LIKE '%engramk.%'
	    AND (setrole = 'engramk_plain'::regrole
	      OR setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))$$,
	'nothing is stored');

-- In a function's SET clause
CREATE FUNCTION active_off() RETURNS text LANGUAGE sql SET engramk.simd = off AS 'SELECT active()';
SET LOCAL engramk.simd = on;
SELECT active() AS best \gset
SELECT is(active_off(), 'scalar', 'the SET clause of a function works');
SELECT is(active(), :'best', 'and ends with the function');

-- Transactions
SAVEPOINT s;
SET engramk.simd = off;
SET engramk.arena_size = '64kB';
ROLLBACK TO SAVEPOINT s;
SELECT is(active(), :'best', 'a rolled back setting is undone');
SET LOCAL engramk.simd = off;
RESET engramk.simd;
SELECT is(active(), :'best', 'RESET goes back to on');

-- Who may

SET LOCAL engramk.simd = off;
SET LOCAL ROLE engramk_plain;
SELECT lives_ok('SET LOCAL engramk.arena_size = ''1MB''', 'a user may set arena_size');
SELECT lives_ok('SET LOCAL engramk.arena_overflow = error', 'a user may set arena_overflow');
SELECT lives_ok('RESET engramk.arena_overflow', 'a user may reset arena_overflow');
SELECT lives_ok('ALTER ROLE engramk_plain SET engramk.arena_size = ''1MB''', 'a user may store arena_size for itself');
SELECT throws_ok('SET LOCAL engramk.simd = ' || v, '42501', 'permission denied to set parameter "engramk.simd"',
		'a user may not set simd = ' || v)
	FROM unnest(ARRAY['on', 'off', 'avx2', 'neon', 'nonsense', 'DEFAULT']) v;
SELECT throws_ok('RESET engramk.simd', '42501', NULL, 'a user may not reset simd');
SELECT throws_ok($$SELECT set_config('engramk.simd', 'on', true)$$, '42501', NULL, 'nor by set_config');
SELECT throws_ok($$UPDATE pg_settings SET setting = 'on' WHERE name = 'engramk.simd'$$, '42501', NULL, 'nor by pg_settings');
SELECT throws_ok('ALTER ROLE engramk_plain SET engramk.simd = on', '42501', NULL, 'nor by ALTER ROLE of itself');
SELECT throws_ok('CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET engramk.simd = on AS ''SELECT active()''',
	'42501', NULL, 'nor by a SET clause');
SELECT is(active(), 'scalar', 'none of this changed the level');
SELECT throws_ok('SET LOCAL ' || v, '42501', NULL, 'a user may not set ' || v)
	FROM unnest(ARRAY['engramk.track_timing = on', 'engramk.track_timing = off', 'engramk.verify_rate = 1', 'engramk.verify_rate = 0']) v;
SELECT throws_ok('RESET ' || v, '42501', NULL, 'a user may not reset ' || v)
	FROM unnest(ARRAY['engramk.track_timing', 'engramk.verify_rate']) v;
RESET ROLE;

SELECT current_setting('server_version_num')::integer >= 150000 AS has_grant \gset
\if :has_grant
GRANT SET ON PARAMETER engramk.simd TO engramk_granted;
SELECT ok(has_parameter_privilege('engramk_granted', 'engramk.simd', 'SET'), 'the privilege can be granted');
SELECT ok(NOT has_parameter_privilege('engramk_plain', 'engramk.simd', 'SET'), 'and is not public');
SET LOCAL ROLE engramk_granted;
SELECT lives_ok('SET LOCAL engramk.simd = on', 'a user who was granted simd may set it');
SELECT is(active(), :'best', 'and it works');
SELECT throws_ok('SET LOCAL engramk.simd = ' || :'lacking', '0A000', NULL, 'but not to a level this CPU lacks');
SELECT lives_ok('ALTER ROLE engramk_granted SET engramk.simd = off', 'and may store it for itself');
SELECT throws_ok('SET LOCAL engramk.verify_rate = 1', '42501', NULL, 'but simd only');
RESET ROLE;
GRANT SET ON PARAMETER engramk.track_timing, engramk.verify_rate TO engramk_granted;
SET LOCAL ROLE engramk_granted;
SELECT lives_ok('SET LOCAL engramk.track_timing = on', 'a user who was granted track_timing may set it');
SELECT lives_ok('SET LOCAL engramk.verify_rate = 0.5', 'and so with verify_rate');
RESET ROLE;
\else
SELECT skip('GRANT SET ON PARAMETER is from PostgreSQL 15', 9);
\endif

-- What arena_size does: the arena takes the new size when it is next opened.

SET LOCAL engramk.arena_size = '1MB';
SELECT is(engram_cosine_batch('{3,4}', '{4,3}'), '{0.96}'::float8[], 'a batch with an arena of 1MB');
SELECT is(capacity, 1048576::bigint, 'the arena has 1MB') FROM engram_arena_stats();
SET LOCAL engramk.arena_size = '64kB';
SELECT is(capacity, 1048576::bigint, 'and keeps it until it is opened') FROM engram_arena_stats();
SELECT is(engram_cosine_batch('{3,4}', '{4,3}'), '{0.96}'::float8[], 'a batch with an arena of 64kB');
SELECT is(capacity, 65536::bigint, 'the arena has 64kB') FROM engram_arena_stats();

-- A size that is set and rolled back under an open cursor
DECLARE c CURSOR FOR SELECT engram_cosine_batch('{3,4}', ARRAY[i, 0]::real[]) FROM generate_series(1, 3) i;
FETCH 1 FROM c \g /dev/null
SAVEPOINT s;
SET LOCAL engramk.arena_size = '2MB';
SELECT is(engram_cosine_batch('{3,4}', '{4,3}'), '{0.96}'::float8[], 'a batch with an arena of 2MB');
ROLLBACK TO SAVEPOINT s;
FETCH 1 FROM c \gset
SELECT is(:'engram_cosine_batch'::float8[], '{0.6}'::float8[], 'a cursor that was open meanwhile');
SELECT is(capacity, 65536::bigint, 'the arena has 64kB again') FROM engram_arena_stats();

SELECT * FROM finish();
ROLLBACK;
