-- Everything in the extension is for every user, and nothing in it makes a
-- user more than they are.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION engramk;

SELECT plan(25);

CREATE ROLE engramk_plain;
CREATE ROLE engramk_creator;

SELECT is_empty(
	$$SELECT p.oid::regprocedure
	  FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid JOIN pg_proc p ON d.objid = p.oid
	  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
	    AND d.deptype = 'e' AND e.extname = 'engramk'
	    AND NOT has_function_privilege('engramk_plain', p.oid, 'EXECUTE')$$,
	'every function can be executed by every user');
SELECT is_empty(
	$$SELECT proname FROM pg_proc WHERE probin = '$libdir/engramk' AND prosecdef$$,
	'no function runs as its owner');

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
SELECT results_eq($$SELECT * FROM engram_topk('{3,4}', '{0,0,3,4}', 1)$$, $$VALUES (2, 1::float8)$$, 'engram_topk');
SELECT is(count(*), 4::bigint, 'engram_simd_info') FROM engram_simd_info();
SELECT ok(resets > 0, 'engram_arena_stats') FROM engram_arena_stats();

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
DROP TABLE item, checked;
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

SELECT * FROM finish();
ROLLBACK;
