-- The access method from outside: what it offers, who may look into an index,
-- what is counted, and how the versions before it came by without it.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION engramk;

SELECT plan(101);

-- What there is

SELECT is(amtype, 'i', 'engramk is an access method for indexes') FROM pg_am WHERE amname = 'engramk';
SELECT is((SELECT opcdefault FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'engramk' AND opcintype = 'real[]'::regtype),
	true, 'real[] has a default operator class');
SELECT is((SELECT bool_and(amvalidate(c.oid)) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'engramk'),
	true, 'which is valid, as are those of filter columns');
SELECT is(pg_indexam_has_property(a.oid, property), expected, property || ' of the access method')
FROM pg_am a, (VALUES ('can_order', false), ('can_unique', false), ('can_multi_col', true), ('can_exclude', true), ('can_include', false)) p(property, expected)
WHERE amname = 'engramk';

CREATE TABLE item (id integer, v real[]);
INSERT INTO item SELECT i, ARRAY[i, i % 7, 1]::real[] FROM generate_series(1, 1000) i;
CREATE INDEX item_v ON item USING engramk (v);
SELECT is(pg_index_column_has_property('item_v', 1, property), expected, property || ' of its column')
FROM (VALUES ('returnable', false), ('search_nulls', true), ('search_array', true), ('orderable', false)) p(property, expected);
SELECT is(pg_index_has_property('item_v', property), expected, property || ' of its index')
FROM (VALUES ('index_scan', true), ('bitmap_scan', false), ('backward_scan', false), ('clusterable', false)) p(property, expected);

-- What is counted

SET LOCAL enable_seqscan = off;
SELECT is((SELECT array_agg(id) FROM (SELECT id FROM item ORDER BY v <-> '{500,3,1}' LIMIT 1) x), ARRAY[500], 'a scan');
SELECT is((SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> '{500,3,1}') x), 1000::bigint, 'another, to the end');
SELECT is((SELECT scans FROM engram_stat_indexes WHERE indexrelid = 'item_v'::regclass), 2::bigint, 'scans are counted');
SELECT cmp_ok((SELECT coarse_codes FROM engram_stat_indexes WHERE indexrelid = 'item_v'::regclass), '>=', 2000::bigint, 'so are coarse codes');
SELECT cmp_ok((SELECT reranked FROM engram_stat_indexes WHERE indexrelid = 'item_v'::regclass), '>=', 1001::bigint, 'and re-ranked rows');
SELECT results_eq($$SELECT dimensions, vectors, dead FROM engram_index_info('item_v')$$, $$VALUES (3, 1000::bigint, 0::bigint)$$,
	'what the index holds');
SELECT is((SELECT slow_because FROM engram_index_info('item_v')), '{}'::text[], 'it is not slow');
SELECT is(engram_index_slow_because('item_v'), '{}'::text[], 'which can be asked alone');
SELECT is_empty('SELECT * FROM engram_slow_indexes', 'so it is not listed');
SELECT is(engram_index_slow_because('item'), NULL, 'of a table there is nothing to tell');
SELECT is(engram_index_slow_because(0::regclass), NULL, 'nor of what is not there');

-- Who may look

CREATE ROLE engram_test_nobody;
SET LOCAL ROLE engram_test_nobody;
SELECT throws_ok($$SELECT engram_index_info('item_v')$$, '42501', NULL, 'who may not read the table may not look into its index');
SELECT throws_ok($$SELECT engram_index_check('item_v')$$, '42501', NULL, 'nor check it');
RESET ROLE;
GRANT SELECT ON item TO engram_test_nobody;
SET LOCAL ROLE engram_test_nobody;
SELECT is(engram_index_check('item_v'), 1000::bigint, 'who may read the table may check its index');
RESET ROLE;

-- Back

CREATE FUNCTION said_of(statement text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
CREATE INDEX item_by_id ON item USING engramk (v, id);
CREATE VIEW merged AS SELECT engram_nearest_merge(NULL::engram_match[], 1);
SELECT matches(detail, 'view (public\.)?merged depends on function (public\.)?engram_nearest_merge', 'a view on what 1.9 brought stops the downgrade to 1.8')
	FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.8'$$);
DROP VIEW merged;
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.8'$$, 'without it, it goes back');
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.7'$$, 'without indexes of other types, it goes back to 1.7');
SELECT results_eq($$SELECT engram_index_check(i) FROM unnest(ARRAY['item_v', 'item_by_id']::regclass[]) i$$, ARRAY[1000, 1000]::bigint[],
	'and indexes stay');
SELECT results_eq($$SELECT id FROM item WHERE id < 9 ORDER BY v <-> '{1,1,1}' LIMIT 2$$, ARRAY[1, 2], 'those with filter columns too');
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT throws_ok('ALTER EXTENSION engramk UPDATE TO ' || quote_literal(v), '55000',
		'there are engramk indexes that the older version cannot read: public.item_by_id',
		'an index with a filter column stops the downgrade to ' || v)
	FROM unnest(ARRAY['1.6', '1.5', '1.1']) v;
SELECT is(detail || ' ' || hint, 'Their format is later than 3. Drop them, go to the older version, and create them again.',
	'and it is said why, and what to do') FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.6'$$);
SELECT is((SELECT format FROM engram_index_info('item_by_id')), 4, 'its format is 4');
DROP INDEX item_by_id;
CREATE VIEW near AS SELECT id FROM item WHERE engram_cosine_within(v, '{500,3,1}', 0.1);
SELECT matches(detail, 'view (public\.)?near depends on function', 'and so does a view on what is new')
	FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.6'$$);
DROP VIEW near;
SELECT is(extversion, '1.9', 'and nothing has changed') FROM pg_extension WHERE extname = 'engramk';
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.6'$$, 'without them, it goes back');
SELECT is(engram_index_check('item_v'), 1000::bigint, 'and an index without filter columns stays');
SELECT throws_ok('CREATE INDEX ON item USING engramk (v, v)', '0A000', 'this version of engramk has no indexes of several columns', 'where no other is built');
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT throws_ok('ALTER EXTENSION engramk UPDATE TO ' || quote_literal(v), '55000',
		'there are engramk indexes that the older version cannot read: public.item_v',
		'an index that it cannot read stops the downgrade to ' || v)
	FROM unnest(ARRAY['1.5', '1.4', '1.1']) v;
SELECT is(detail || ' ' || hint, 'Their format is later than 2. Drop them, go to the older version, and create them again.',
	'and it is said why, and what to do') FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
SELECT is(extversion, '1.9', 'and nothing has changed') FROM pg_extension WHERE extname = 'engramk';
SELECT is((SELECT format FROM engram_index_info('item_v')), 3, 'its format is 3');
SELECT is((SELECT array_agg(id) FROM (SELECT id FROM item ORDER BY v <-> '{500,3,1}' LIMIT 1) x), ARRAY[500], 'scans go on');
DROP INDEX item_v;
CREATE VIEW sizes AS SELECT f.* FROM pg_class, engram_index_info(oid) AS f WHERE relname = 'item_v';
SELECT throws_ok($$ALTER EXTENSION engramk UPDATE TO '1.5'$$, '2BP01',
		'cannot take back the columns of engram_index_info because other objects depend on them',
		'a view with columns of 1.6 stops the downgrade');
SELECT is(detail, 'They are of rule _RETURN on view sizes.', 'by its name')
	FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
DROP VIEW sizes;
CREATE FUNCTION bytes() RETURNS double precision LANGUAGE sql BEGIN ATOMIC
	SELECT coarse_bytes FROM pg_class, engram_index_info(oid) WHERE relname = 'item_v';
END;
SELECT is(detail, 'They are of function bytes().', 'and so does a function')
	FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
DROP FUNCTION bytes();
CREATE VIEW slow AS SELECT indexrelname FROM engram_slow_indexes;
SELECT matches(detail, 'view (public\.)?slow depends on view', 'and a view on what is new')
	FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
DROP VIEW slow;
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.5'$$, 'without them, it goes back');
CREATE INDEX item_v ON item USING engramk (v);
SELECT is((SELECT format FROM engram_index_info('item_v')), 2, 'what is built there is of format 2');
SELECT throws_ok($$ALTER EXTENSION engramk UPDATE TO '1.4'$$, '55000',
	'there are engramk indexes that the older version cannot read: public.item_v', 'which stops the downgrade to 1.4');
SELECT is(detail, 'Their format is later than 1.', 'and it is said why') FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);

-- What was made of the columns of a version, and privileges, stay both ways.
CREATE VIEW sizes AS SELECT f.* FROM pg_class, engram_index_info(oid) AS f WHERE relname = 'item_v';
CREATE ROLE engramk_watcher;
REVOKE ALL ON FUNCTION engram_index_info(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION engram_index_info(regclass) TO engramk_watcher WITH GRANT OPTION;
CREATE TABLE before AS SELECT *, pg_get_viewdef('sizes') FROM pg_proc WHERE proname = 'engram_index_info';
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT results_eq('SELECT vectors, format, dimensions FROM sizes', 'VALUES (1000::bigint, 2, 3)', 'a view of 1.5 answers under 1.9');
SELECT is((SELECT slow_because FROM engram_index_info('item_v')), '{old format}'::text[], 'where the function has more columns');
SELECT is(pg_get_viewdef('sizes'), pg_get_viewdef, 'its definition is what it was') FROM before;
SELECT is(p.proacl, b.proacl, 'the privileges are those that were granted') FROM pg_proc AS p JOIN before AS b USING (oid);
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT results_eq('SELECT vectors, format, dimensions FROM sizes', 'VALUES (1000::bigint, 2, 3)', 'and under 1.5 again');
SELECT results_eq($q$SELECT *, pg_get_viewdef('sizes') FROM pg_proc WHERE proname = 'engram_index_info'$q$, 'SELECT * FROM before',
	'everything about the function is as before');
DROP INDEX item_v;
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT throws_ok($$ALTER EXTENSION engramk UPDATE TO '1.4'$$, '2BP01', NULL, 'a view with columns of 1.5 stops the downgrade from 1.9 to 1.4');
SELECT is(extversion, '1.9', 'and nothing has changed') FROM pg_extension WHERE extname = 'engramk';
DROP VIEW sizes;
DROP TABLE before;
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.4'$$, 'without it, it goes back by two versions');

CREATE INDEX item_v ON item USING engramk (v);
CREATE VIEW sizes AS SELECT f.* FROM pg_class, engram_index_info(oid) AS f WHERE relname = 'item_v';
CREATE TABLE before AS SELECT *, pg_get_viewdef('sizes') FROM pg_proc WHERE proname = 'engram_index_info';
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT results_eq('SELECT vectors, pages > 1, dimensions FROM sizes', 'VALUES (1000::bigint, true, 3)', 'a view of 1.4 answers under 1.9');
SELECT is((SELECT format FROM engram_index_info('item_v')), 1, 'where the function has more columns');
SELECT is(pg_get_viewdef('sizes'), pg_get_viewdef, 'its definition is what it was') FROM before;
SELECT is(p.proacl, b.proacl, 'the privileges are those that were granted') FROM pg_proc AS p JOIN before AS b USING (oid);
ALTER EXTENSION engramk UPDATE TO '1.4';
SELECT results_eq('SELECT vectors, pages > 1, dimensions FROM sizes', 'VALUES (1000::bigint, true, 3)', 'and under 1.4 again');
SELECT results_eq($q$SELECT *, pg_get_viewdef('sizes') FROM pg_proc WHERE proname = 'engram_index_info'$q$, 'SELECT * FROM before',
	'everything about the function is as before');
DROP VIEW sizes;
DROP TABLE before;
GRANT EXECUTE ON FUNCTION engram_index_info(regclass) TO PUBLIC;
REVOKE ALL ON FUNCTION engram_index_info(regclass) FROM engramk_watcher;
DROP ROLE engramk_watcher;
SELECT throws_ok($$ALTER EXTENSION engramk UPDATE TO '1.1'$$, '2BP01', NULL, 'any index stops the downgrade to 1.1');
SELECT matches(detail, 'index (public\.)?item_v depends', 'by its name') FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.1'$$);
SELECT is(extversion, '1.4', 'and nothing has changed') FROM pg_extension WHERE extname = 'engramk';
SELECT is((SELECT array_agg(id) FROM (SELECT id FROM item ORDER BY v <-> '{500,3,1}' LIMIT 1) x), ARRAY[500], 'scans go on');
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.9'$$, 'it goes forward');
SELECT is((SELECT format FROM engram_index_info('item_v')), 1, 'and an index of 1.4 stays of format 1');
DROP INDEX item_v;
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.1'$$, 'without indexes it goes back');
SELECT is((SELECT count(*) FROM pg_am WHERE amname = 'engramk'), 0::bigint, 'and the access method is gone');
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.9'$$, 'it comes again');
CREATE INDEX item_v ON item USING engramk (v);
SELECT is(engram_index_check('item_v'), 1000::bigint, 'and indexes with it');

-- Indexes of the types of pgvector, where that is installed

SELECT count(*) AS has_pgvector FROM pg_available_extensions
WHERE name = 'vector' AND string_to_array(default_version, '.')::integer[] >= '{0,7}' \gset
\if :has_pgvector
CREATE EXTENSION vector;
CREATE EXTENSION engramk_pgvector;
CREATE TABLE half (id integer, h halfvec(3));
INSERT INTO half SELECT id, v::halfvec FROM item;
CREATE INDEX half_h ON half USING engramk (h halfvec_cosine_ops);
SELECT is((SELECT format FROM engram_index_info('half_h')), 5, 'the format of an index of halfvec is 5');
SELECT throws_ok('ALTER EXTENSION engramk UPDATE TO ' || quote_literal(v), '55000',
		'the older version of engramk has no indexes of other types than real[], as "engramk_pgvector" needs',
		'engramk_pgvector stops the downgrade to ' || v)
	FROM unnest(ARRAY['1.7', '1.6', '1.1']) v;
SELECT is(hint, 'Drop it first.', 'and it is said what to do') FROM said_of($$ALTER EXTENSION engramk UPDATE TO '1.7'$$);
SELECT matches(detail, 'index (public\.)?half_h depends on operator class halfvec_cosine_ops', 'whose indexes stop that')
	FROM said_of('DROP EXTENSION engramk_pgvector');
DROP INDEX half_h;
ALTER TABLE half ADD ball engram_halfvec_ball;
SELECT matches(detail, 'column ball of table (public\.)?half depends on type engram_halfvec_ball', 'as columns of its types do')
	FROM said_of('DROP EXTENSION engramk_pgvector');
ALTER TABLE half DROP ball;
CREATE VIEW near AS SELECT id FROM half WHERE engram_l2_within(h, '[3,3,1]', 0);
SELECT matches(detail, 'view (public\.)?near depends on function', 'and views on its functions')
	FROM said_of('DROP EXTENSION engramk_pgvector');
DROP VIEW near;
SELECT lives_ok('DROP EXTENSION engramk_pgvector', 'without them, it is dropped');
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.7'$$, 'and engramk goes back');
SELECT results_eq($$SELECT id FROM half ORDER BY h <-> '[3,3,1]' LIMIT 1$$, ARRAY[3], 'queries of the column go on');
SELECT throws_ok('CREATE EXTENSION engramk_pgvector', 'P0001', 'engramk_pgvector needs version 1.8 of engramk, or a later one',
	'it does not come to 1.7');
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT lives_ok('CREATE EXTENSION engramk_pgvector', 'but to 1.9');
CREATE INDEX half_h ON half USING engramk (h halfvec_cosine_ops);
SELECT is(engram_index_check('half_h'), 1000::bigint, 'and indexes with it');
SELECT lives_ok($$ALTER EXTENSION engramk UPDATE TO '1.8'$$, 'with them it goes back to 1.8');
SELECT is(engram_index_check('half_h'), 1000::bigint, 'and they stay');
ALTER EXTENSION engramk UPDATE TO '1.9';
\else
SELECT skip('pgvector is not installed in this server', 16);
\endif

SELECT * FROM finish();
ROLLBACK;
