-- What computes is for every user, and so are sums over all backends.  What
-- tells of other users' sessions, or takes something away from them, is not.
-- Nothing in the extension makes a user more than they are.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION engramk;

SELECT plan(76);

CREATE ROLE engramk_plain;
CREATE ROLE engramk_creator;
CREATE ROLE engramk_watcher IN ROLE pg_read_all_stats;
CREATE ROLE engramk_resetter;

SELECT is_empty(
	$$SELECT p.oid::regprocedure
	  FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid JOIN pg_proc p ON d.objid = p.oid
	  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
	    AND d.deptype = 'e' AND e.extname = 'engramk'
	    AND p.proname NOT IN ('engram_require_format', 'engram_stat_reset', 'engram_stat_get_backends')
	    AND NOT has_function_privilege('engramk_plain', p.oid, 'EXECUTE')$$,
	'every function but three can be executed by every user');
SELECT ok(NOT has_function_privilege('engramk_plain', 'engram_stat_reset()', 'EXECUTE'), 'a user may not reset the statistics');
SELECT ok(NOT has_function_privilege('engramk_watcher', 'engram_stat_reset()', 'EXECUTE'), 'nor may one who reads all statistics');
SELECT ok(NOT has_function_privilege(role, 'engram_require_format(integer)', 'EXECUTE'), 'nor may ' || role || ' hold up builds')
	FROM unnest(ARRAY['engramk_plain', 'engramk_watcher']) role;
SELECT ok(NOT has_function_privilege('engramk_plain', 'engram_stat_get_backends()', 'EXECUTE'), 'a user may not look at sessions');
SELECT ok(has_function_privilege('engramk_watcher', 'engram_stat_get_backends()', 'EXECUTE'), 'one who reads all statistics may');
SELECT ok(has_table_privilege('engramk_plain', v, 'SELECT'), 'a user may read ' || v)
	FROM unnest(ARRAY['engram_slow_indexes', 'engram_stat_arena', 'engram_stat_errors', 'engram_stat_filters', 'engram_stat_indexes', 'engram_stat_info', 'engram_stat_kernels', 'engram_stat_verify']) v;
SELECT ok(NOT has_table_privilege('engramk_plain', 'engram_stat_backends', 'SELECT'), 'a user may not read engram_stat_backends');
SELECT ok(has_table_privilege('engramk_watcher', 'engram_stat_backends', 'SELECT'), 'one who reads all statistics may');
SELECT is_empty(
	$$SELECT c.relname
	  FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid JOIN pg_class c ON d.objid = c.oid
	  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass
	    AND d.deptype = 'e' AND e.extname = 'engramk'
	    AND (has_table_privilege('engramk_plain', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
	      OR has_table_privilege('engramk_watcher', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER'))$$,
	'nobody may do more than read a view');
SELECT is_empty(
	$$SELECT proname FROM pg_proc WHERE probin = '$libdir/engramk' AND prosecdef$$,
	'no function runs as its owner');

CREATE TABLE secret (embedding real[]);
INSERT INTO secret VALUES ('{3,4}');
ALTER EXTENSION engramk UPDATE TO '1.5';
CREATE INDEX secret_embedding ON secret USING engramk (embedding);
ALTER EXTENSION engramk UPDATE TO '1.9';

SET LOCAL ROLE engramk_plain;
CREATE TEMPORARY TABLE item (
	id integer,
	embedding real[],
	length double precision GENERATED ALWAYS AS (engram_norm(embedding)) STORED);
INSERT INTO item VALUES (1, '{3,4}'), (2, '{4,3}'), (3, '{0,0}');
CREATE INDEX ON item (engram_norm(embedding));
CREATE TEMPORARY TABLE checked (embedding real[] CHECK (engram_is_valid(embedding)));

SELECT is(engram_cosine('{3,4}', '{4,3}'), 0.96::float8, 'engram_cosine');
SELECT is(engram_cosine_distance('{3,4}', '{3,4}'), 0::float8, 'engram_cosine_distance');
SELECT is(engram_inner_product('{3,4}', '{4,3}'), 24::float8, 'engram_inner_product');
SELECT is(engram_negative_inner_product('{3,4}', '{4,3}'), -24::float8, 'engram_negative_inner_product');
SELECT is(engram_l2_distance('{3,4}', '{0,0}'), 5::float8, 'engram_l2_distance');
SELECT is(engram_l1_distance('{3,4}', '{0,0}'), 7::float8, 'engram_l1_distance');
SELECT is(engram_norm('{3,4}'), 5::float8, 'engram_norm');
SELECT is(engram_normalize('{3,4}'), '{0.6,0.8}'::real[], 'engram_normalize');
SELECT is(engram_is_valid('{3,4}'), true, 'engram_is_valid');
SELECT is(engram_cosine_batch('{3,4}', '{3,4,0,0}'), '{1,0}'::float8[], 'engram_cosine_batch');
SELECT ok(engram_cosine_within('{3,4}', '{4,3}', 0.1), 'engram_cosine_within');
SELECT ok(engram_l2_within('{3,4}', '{0,0}', 5), 'engram_l2_within');
SELECT ok(engram_inner_product_within('{3,4}', '{4,3}', -24), 'engram_inner_product_within');
SELECT results_eq($$SELECT * FROM engram_topk('{3,4}', '{0,0,3,4}', 1)$$, $$VALUES (2, 1::float8)$$, 'engram_topk');
SELECT is(count(*), 4::bigint, 'engram_simd_info') FROM engram_simd_info();
SELECT ok(resets > 0, 'engram_arena_stats') FROM engram_arena_stats();
SELECT ok(sum(calls) > 0, 'engram_stat_kernels') FROM engram_stat_kernels;
SELECT ok(resets > 0, 'engram_stat_arena') FROM engram_stat_arena;
SELECT is(count(*), 5::bigint, 'engram_stat_errors') FROM engram_stat_errors;
SELECT ok(checked IS NOT NULL, 'engram_stat_verify') FROM engram_stat_verify;
SELECT is(scope, 'cluster', 'engram_stat_info') FROM engram_stat_info;
CREATE INDEX item_embedding ON item USING engramk (embedding);
SELECT is(vectors, 3::bigint, 'engram_index_info') FROM engram_index_info('item_embedding');
SELECT is(engram_index_check('item_embedding'), 3::bigint, 'engram_index_check');
SELECT results_eq($$SELECT indexrelid::regclass::text, scans FROM engram_stat_indexes ORDER BY 1$$,
	$$VALUES ('item_embedding', 0::bigint), ('secret_embedding', 0)$$,
	'engram_stat_indexes shows the indexes of others as well, as pg_stat_all_indexes does');
SELECT throws_ok($$SELECT engram_index_info('secret_embedding')$$, '42501', 'permission denied for table secret',
	'engram_index_info is refused where the table may not be read');
SELECT throws_ok($$SELECT engram_index_check('secret_embedding')$$, '42501', 'permission denied for table secret',
	'and so is engram_index_check');
SELECT is(engram_index_slow_because('item_embedding'), '{}'::text[], 'engram_index_slow_because');
SELECT is(engram_index_slow_because('secret_embedding'), NULL, 'which tells nothing of a table that may not be read');
SELECT is_empty('SELECT * FROM engram_slow_indexes', 'and so engram_slow_indexes does not show it');
SELECT throws_ok('SELECT * FROM engram_stat_backends', '42501', NULL, 'engram_stat_backends is refused');
SELECT throws_ok('SELECT engram_stat_reset()', '42501', NULL, 'engram_stat_reset is refused');
SELECT throws_ok('SELECT engram_require_format(1)', '42501', NULL, 'engram_require_format is refused');
SET LOCAL ROLE engramk_watcher;
SELECT is(count(*), 1::bigint, 'engram_stat_backends, by one who reads all statistics')
	FROM engram_stat_backends WHERE pid = pg_backend_pid() AND usename = session_user;
SELECT throws_ok('SELECT engram_stat_reset()', '42501', NULL, 'engram_stat_reset is refused to that one too');
SELECT is_empty('SELECT * FROM engram_slow_indexes', 'nor does engram_slow_indexes show that one more');
RESET ROLE;
SELECT results_eq('SELECT indexrelid::regclass::text, slow_because FROM engram_slow_indexes', $$VALUES ('secret_embedding', '{old format}'::text[])$$,
	'but to whoever may read the table');
GRANT EXECUTE ON FUNCTION engram_stat_reset() TO engramk_resetter;
SET LOCAL ROLE engramk_resetter;
SELECT lives_ok('SELECT engram_stat_reset()', 'but not to a user who was granted it');
SET LOCAL ROLE engramk_plain;

CREATE INDEX item_filtered ON item USING engramk (embedding, id);
SET LOCAL enable_seqscan = off;
SELECT results_eq($$SELECT id FROM item WHERE id IN (2, 3) ORDER BY embedding <=> '{3,4}'$$, ARRAY[2, 3], 'filter columns');
SELECT results_eq($$SELECT id FROM item WHERE engram_l2_within(embedding, '{3,4}', 2) ORDER BY id$$, ARRAY[1, 2], 'radii');
SELECT is(scans, 1::bigint, 'filters by the index that has them') FROM engram_stat_indexes WHERE indexrelname = 'item_filtered';
RESET enable_seqscan;
SELECT is(engram_knn_join_create('pg_temp.near', 'SELECT id, embedding FROM item', 'SELECT id, embedding FROM item', 1, slice_rows => 2), 2,
	'engram_knn_join_create');
SELECT is(slices, 2, 'engram_knn_join_progress') FROM engram_knn_join_progress('pg_temp.near');
SELECT throws_ok($$CALL engram_knn_join_run('pg_temp.near')$$, '2D000', NULL, 'engram_knn_join_run, but for the transaction');
SELECT throws_ok($$SELECT engram_knn_join_create('pg_temp.secrets', 'SELECT 1, embedding FROM secret', 'SELECT id, embedding FROM item', 1)$$,
	'42501', 'permission denied for table secret', 'which take nobody where they may not read');
SELECT results_eq($$SELECT id FROM item ORDER BY embedding <=> '{3,4}'$$, ARRAY[1, 2, 3], '<=>');
SELECT results_eq($$SELECT id FROM item ORDER BY embedding <#> '{3,4}'$$, ARRAY[1, 2, 3], '<#>');
SELECT results_eq($$SELECT id FROM item ORDER BY embedding <-> '{3,4}'$$, ARRAY[1, 2, 3], '<->');
SELECT results_eq($$SELECT id FROM item ORDER BY embedding <+> '{3,4}'$$, ARRAY[1, 2, 3], '<+>');
SELECT throws_ok($$INSERT INTO checked VALUES ('{1,NaN}')$$, '23514', NULL, 'engram_is_valid guards a column');
SELECT is(sum(length), 10::float8, 'engram_norm generates a column') FROM item;
RESET ROLE;

-- The extension is not trusted: it brings a library along.
SELECT lives_ok($$DO 'BEGIN EXECUTE format(''GRANT CREATE ON DATABASE %I TO engramk_creator'', current_database()); END'$$,
	'a user who may create in this database');
DROP TABLE item, checked, secret;
DROP EXTENSION engramk;
SET LOCAL ROLE engramk_creator;
SELECT throws_ok('CREATE EXTENSION engramk', '42501', NULL, 'may not create the extension');
RESET ROLE;

-- An object of our name that somebody put there first is never taken over.
CREATE SCHEMA hostile;
GRANT CREATE, USAGE ON SCHEMA hostile TO engramk_plain;
SET LOCAL ROLE engramk_plain;
CREATE FUNCTION hostile.engram_norm(a real[]) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT 0::float8';
RESET ROLE;
SELECT throws_ok('CREATE EXTENSION engramk SCHEMA hostile', '42723', NULL, 'the extension does not replace a function');
SELECT is_empty($$SELECT extname FROM pg_extension WHERE extname = 'engramk'$$, 'and is not half there');

-- Nor by an update.
CREATE SCHEMA hostile_later;
GRANT CREATE, USAGE ON SCHEMA hostile_later TO engramk_plain;
CREATE EXTENSION engramk SCHEMA hostile_later VERSION '1.0';
SET LOCAL ROLE engramk_plain;
CREATE VIEW hostile_later.engram_stat_info AS SELECT 'cluster' AS scope, now() AS stats_reset;
RESET ROLE;
SELECT throws_ok('ALTER EXTENSION engramk UPDATE TO ''1.1''', '42P07', NULL, 'an update does not replace a view');
DROP VIEW hostile_later.engram_stat_info;
ALTER EXTENSION engramk UPDATE TO '1.1';
SET LOCAL ROLE engramk_plain;
CREATE FUNCTION hostile_later.engram_index_check(index regclass) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
RESET ROLE;
SELECT throws_ok('ALTER EXTENSION engramk UPDATE TO ''1.2''', '42723', NULL, 'nor a function');
SELECT is_empty($$SELECT amname FROM pg_am WHERE amname = 'engramk'$$, 'and leaves nothing of the newer version');

SELECT * FROM finish();
ROLLBACK;
