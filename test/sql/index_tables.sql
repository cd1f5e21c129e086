-- What an exact index stands on: every kind of table, every command that makes,
-- rebuilds, empties or drops one, and what may not go into it.
CREATE SCHEMA index_tables;
SET search_path = index_tables, public;
SET jit = off;
SET enable_seqscan = off;
SET enable_sort = off;

CREATE FUNCTION wave(i int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, dims) AS j
$$;
-- The ids of the five nearest: the operator's own order, and the index's
CREATE FUNCTION nearest(source regclass, q real[], k int DEFAULT 5, OUT by_index int[], OUT equal boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    planned boolean := false;
    truth int[];
BEGIN
    PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true);
    EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM %s ORDER BY v <-> $1 LIMIT $2) AS x', source) INTO truth USING q, k;
    PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
    EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM %s ORDER BY v <-> $1 LIMIT $2) AS x', source) INTO by_index USING q, k;
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT id FROM %s ORDER BY v <-> $1 LIMIT $2', source) USING q, k LOOP
        planned := planned OR line LIKE '%Index Scan using%';
    END LOOP;
    equal := by_index IS NOT DISTINCT FROM truth;
    IF NOT planned THEN
        RAISE 'not by the index';
    END IF;
END $$;

-- An index that is there before the first row; the first rows have no vector.
CREATE TABLE filled_later (id int, v real[]);
CREATE INDEX filled_later_v ON filled_later USING engramk (v);
SELECT * FROM nearest('filled_later', wave(1, 10));
SELECT dimensions, vectors, dead, bytes_per_vector, basis, coarse_bits, sampled, pages FROM engram_index_info('filled_later_v');
SELECT engram_index_check('filled_later_v');
INSERT INTO filled_later SELECT -i, NULL FROM generate_series(1, 3000) AS i;
SELECT count(*) FROM (SELECT id FROM filled_later ORDER BY v <=> wave(1, 10)) AS x;
SELECT dimensions, vectors FROM engram_index_info('filled_later_v');
SELECT engram_index_check('filled_later_v');
DELETE FROM filled_later WHERE id % 2 = 0;
VACUUM filled_later;
SELECT count(*) FROM (SELECT id FROM filled_later ORDER BY v <=> wave(1, 10)) AS x;
INSERT INTO filled_later SELECT i, wave(i, 10) FROM generate_series(1, 1000) AS i;
INSERT INTO filled_later SELECT -i, NULL FROM generate_series(2, 3000, 2) AS i;
SELECT * FROM nearest('filled_later', wave(77, 10));
SELECT count(*), count(d) FROM (SELECT v <=> wave(1, 10) AS d FROM filled_later ORDER BY v <=> wave(1, 10)) AS x;
DELETE FROM filled_later WHERE id < 0;
VACUUM filled_later;
SELECT count(*) FROM (SELECT v <=> wave(1, 10) AS d FROM filled_later ORDER BY v <=> wave(1, 10)) AS x;
SELECT engram_index_check('filled_later_v');
-- the early NULLs are not there for ever
REINDEX INDEX filled_later_v;
SELECT dimensions, vectors, dead FROM engram_index_info('filled_later_v');

-- What may not go in: at the insert, and at the build
INSERT INTO filled_later VALUES (1, '{1,2,3}');
INSERT INTO filled_later VALUES (1, wave(1, 9) || 'NaN'::real);
INSERT INTO filled_later VALUES (1, wave(1, 9) || '-Infinity'::real);
INSERT INTO filled_later VALUES (1, '{1,2,3,4,5,6,7,8,9,NULL}');
INSERT INTO filled_later VALUES (1, '{}');
INSERT INTO filled_later VALUES (1, '{{1,2,3,4,5,6,7,8,9,10}}');
UPDATE filled_later SET v = '{1,2}' WHERE id = 3;
INSERT INTO filled_later VALUES (10001, '[3:12]={1,2,3,4,5,6,7,8,9,10}'), (10002, '{1,2,3,4,5,6,7,8,9,10}');
SELECT (nearest('filled_later', '{1,2,3,4,5,6,7,8,9,10}', 2)).equal;
SELECT engram_index_check('filled_later_v');
CREATE TABLE refused (id int, v real[]);
INSERT INTO refused VALUES (1, '{1,2}'), (2, '{1,2,3}');
CREATE INDEX ON refused USING engramk (v);
DELETE FROM refused;
VACUUM refused;
INSERT INTO refused VALUES (1, '{1,NaN}');
CREATE INDEX ON refused USING engramk (v);
CREATE INDEX ON refused USING engramk ((ARRAY[id]));
CREATE UNIQUE INDEX ON refused USING engramk (v);
CREATE INDEX ON refused USING engramk (v) INCLUDE (id);
CREATE INDEX ON refused USING engramk (v DESC);
CREATE INDEX ON refused USING engramk (v) WITH (fillfactor = 70);

-- Rows that are deleted do not count, though the one who deletes them is still
-- at it: a migration to other vectors is often one transaction.
CREATE TABLE migrated (id int, v real[]);
INSERT INTO migrated SELECT i, wave(i, 3) FROM generate_series(1, 1000) AS i;
INSERT INTO migrated VALUES (1001, '{1,2,NaN}'), (1002, '{1,NULL,3}'), (1003, '{}'), (1004, '{{1,2}}'), (1005, NULL);
CREATE INDEX migrated_v ON migrated USING engramk (v) WHERE id <= 1000;
BEGIN;
DROP INDEX migrated_v;
UPDATE migrated SET v = wave(id, 40) WHERE id <= 1000;
DELETE FROM migrated WHERE id > 1000;
CREATE INDEX migrated_v ON migrated USING engramk (v);
SELECT dimensions, sampled FROM engram_index_info('migrated_v');
SELECT engram_index_check('migrated_v');
COMMIT;
SELECT engram_index_check('migrated_v');
INSERT INTO migrated VALUES (1, wave(1, 3));

-- Dimensions: one, 4,000, and the most that a page holds
CREATE TABLE one (id int, v real[]);
INSERT INTO one SELECT i, ARRAY[i] FROM generate_series(1, 100) AS i;
CREATE INDEX one_v ON one USING engramk (v);
SELECT * FROM nearest('one', '{42.2}');
CREATE TABLE wide (id int, v real[]);
INSERT INTO wide SELECT i, wave(i, 4000) FROM generate_series(1, 300) AS i;
CREATE INDEX wide_v ON wide USING engramk (v);
INSERT INTO wide SELECT i, wave(i, 4000) FROM generate_series(301, 340) AS i;
SELECT by_index[1], equal FROM nearest('wide', wave(17, 4000));
SELECT by_index[1], equal FROM nearest('wide', wave(333, 4000));
SELECT engram_index_check('wide_v');
CREATE TABLE widest (id int, v real[]);
CREATE INDEX widest_v ON widest USING engramk (v);
INSERT INTO widest SELECT i, wave(i, 8000) FROM generate_series(1, 40) AS i;
SELECT by_index[1], equal FROM nearest('widest', wave(17, 8000));
SELECT engram_index_check('widest_v');
REINDEX INDEX widest_v;
SELECT by_index[1], equal FROM nearest('widest', wave(17, 8000));
CREATE TABLE too_wide (id int, v real[]);
CREATE INDEX too_wide_v ON too_wide USING engramk (v);
INSERT INTO too_wide SELECT 1, wave(1, 8001);
INSERT INTO too_wide SELECT 1, wave(1, 8000);

-- Temporary tables, whose rows may go at every commit
CREATE TEMPORARY TABLE temp (id int, v real[]) ON COMMIT DELETE ROWS;
CREATE INDEX temp_v ON temp USING engramk (v);
BEGIN;
INSERT INTO temp SELECT i, wave(i, 10) FROM generate_series(1, 500) AS i;
SELECT * FROM nearest('temp', wave(77, 10));
SELECT engram_index_check('temp_v');
COMMIT;
BEGIN;
INSERT INTO temp SELECT i, wave(i, 20) FROM generate_series(1, 500) AS i;
SELECT * FROM nearest('temp', wave(77, 20));
SELECT engram_index_check('temp_v');
COMMIT;
SELECT * FROM nearest('temp', wave(77, 10));

-- Unlogged and back
CREATE UNLOGGED TABLE unlogged (id int, v real[]);
CREATE INDEX unlogged_v ON unlogged USING engramk (v);
INSERT INTO unlogged SELECT i, wave(i, 10) FROM generate_series(1, 500) AS i;
SELECT * FROM nearest('unlogged', wave(77, 10));
ALTER TABLE unlogged SET LOGGED;
SELECT * FROM nearest('unlogged', wave(77, 10));
ALTER TABLE unlogged SET UNLOGGED;
INSERT INTO unlogged SELECT i, wave(i, 10) FROM generate_series(501, 600) AS i;
SELECT * FROM nearest('unlogged', wave(555, 10));
SELECT engram_index_check('unlogged_v');

-- Partitions: one index each, merged in order; they may differ in dimensions
-- as long as nobody asks both.
CREATE TABLE parted (id int, part int, v real[]) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE INDEX parted_v ON parted USING engramk (v);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES IN (3);
INSERT INTO parted SELECT i, i % 3 + 1, wave(i, 10) FROM generate_series(1, 900) AS i;
EXPLAIN (COSTS OFF) SELECT id FROM parted ORDER BY v <-> '{1}' LIMIT 5;
SELECT * FROM nearest('parted', wave(77, 10));
SELECT * FROM nearest('parted', wave(78, 10), 30);
UPDATE parted SET part = part % 3 + 1 WHERE id < 100;
SELECT * FROM nearest('parted', wave(77, 10));
ALTER TABLE parted DETACH PARTITION parted_2;
SELECT * FROM nearest('parted_2', wave(77, 10));
SELECT engram_index_check('parted_v');
SELECT sum(engram_index_check(indexrelid)) FROM pg_index WHERE indrelid::regclass::text IN ('parted_1', 'parted_2', 'parted_3');

-- Partial and expression indexes
CREATE TABLE item (id int, tenant int, v real[]);
INSERT INTO item SELECT i, i % 4, wave(i, 10 + i % 4) FROM generate_series(1, 2000) AS i;
CREATE INDEX item_0 ON item USING engramk (v) WHERE tenant = 0;
CREATE INDEX item_1 ON item USING engramk (v) WHERE tenant = 1;
CREATE VIEW tenant_1 AS SELECT id, v FROM item WHERE tenant = 1;
SELECT * FROM nearest('tenant_1', wave(77, 11));
INSERT INTO item SELECT i, i % 4, wave(i, 10 + i % 4) FROM generate_series(2001, 2100) AS i;
SELECT * FROM nearest('tenant_1', wave(2049, 11));
SELECT engram_index_check('item_0'), engram_index_check('item_1');
-- of the partial index nothing is known about the rest
SELECT id FROM item WHERE tenant = 1 AND id < 10 ORDER BY v <-> wave(5, 11);
CREATE INDEX item_first ON item USING engramk ((v[1:3]));
CREATE VIEW first_three AS SELECT id, v[1:3] AS v FROM item;
SELECT * FROM nearest('first_three', wave(77, 3), 1);
CREATE INDEX item_unit ON item USING engramk (engram_normalize(v)) WHERE tenant = 2;
SELECT id FROM item WHERE tenant = 2 ORDER BY engram_normalize(v) <#> wave(78, 12) LIMIT 1;
SELECT engram_index_check('item_first'), engram_index_check('item_unit');
DROP INDEX item_0, item_1, item_first, item_unit;
DROP VIEW tenant_1, first_three;

-- Made and made again: CONCURRENTLY, REINDEX, VACUUM FULL, CLUSTER, TRUNCATE, ALTER
DELETE FROM item WHERE tenant <> 0;
CREATE INDEX CONCURRENTLY item_v ON item USING engramk (v);
SELECT * FROM nearest('item', wave(80, 10));
SELECT engram_index_check('item_v');
REINDEX INDEX CONCURRENTLY item_v;
SELECT * FROM nearest('item', wave(80, 10));
REINDEX TABLE item;
SELECT * FROM nearest('item', wave(80, 10));
DELETE FROM item WHERE id % 3 = 0;
VACUUM FULL item;
SELECT * FROM nearest('item', wave(80, 10));
SELECT vectors, dead FROM engram_index_info('item_v');
SELECT engram_index_check('item_v');
CLUSTER item USING item_v;
CREATE INDEX item_id ON item (id);
CLUSTER item USING item_id;
SELECT * FROM nearest('item', wave(80, 10));
ALTER INDEX item_v SET TABLESPACE pg_default;
ALTER TABLE item ALTER COLUMN v TYPE real[] USING engram_normalize(v);
SELECT (nearest('item', wave(80, 10))).equal;
SELECT engram_index_check('item_v');
-- other dimensions are welcome once the old are gone
TRUNCATE item;
INSERT INTO item SELECT i, 0, wave(i, 33) FROM generate_series(1, 100) AS i;
SELECT * FROM nearest('item', wave(80, 33));
BEGIN;
TRUNCATE item;
INSERT INTO item SELECT i, 0, wave(i, 5) FROM generate_series(1, 100) AS i;
SELECT * FROM nearest('item', wave(80, 5));
ROLLBACK;
SELECT * FROM nearest('item', wave(80, 33));
-- in one transaction with the table itself
BEGIN;
CREATE TABLE fresh (id int, v real[]);
INSERT INTO fresh SELECT i, wave(i, 33) FROM generate_series(1, 100) AS i;
CREATE INDEX fresh_v ON fresh USING engramk (v);
SAVEPOINT s;
INSERT INTO fresh SELECT i, wave(i, 33) FROM generate_series(101, 200) AS i;
SELECT by_index FROM nearest('fresh', wave(150, 33), 1);
ROLLBACK TO s;
SELECT by_index FROM nearest('fresh', wave(80, 33), 1);
TRUNCATE fresh;
INSERT INTO fresh SELECT i, wave(i, 3) FROM generate_series(1, 100) AS i;
SELECT by_index FROM nearest('fresh', wave(80, 3), 1);
COMMIT;
SELECT engram_index_check('fresh_v');

-- Updates, of which some leave the vector alone
UPDATE item SET tenant = id;
UPDATE item SET v = wave(-id, 33) WHERE id % 2 = 0;
UPDATE item SET v = NULL WHERE id % 10 = 1;
SELECT * FROM nearest('item', wave(77, 33));
SELECT * FROM nearest('item', wave(-78, 33));
VACUUM item;
SELECT (nearest('item', wave(-78, 33), 80)).equal;
-- Every entry free, and used again
DELETE FROM item;
VACUUM item;
SELECT * FROM nearest('item', wave(77, 33));
SELECT vectors, dead FROM engram_index_info('item_v');
INSERT INTO item SELECT i, 0, wave(i, 33) FROM generate_series(1, 150) AS i;
SELECT vectors, dead > 0 AS some_free FROM engram_index_info('item_v');
SELECT (nearest('item', wave(77, 33), 150)).equal;
SELECT engram_index_check('item_v');

-- Free entries far from each other: no insert looks for one for long, since
-- others wait for it, and all are used in the end.
CREATE TABLE sparse (id int, v real[]) WITH (autovacuum_enabled = off);
INSERT INTO sparse SELECT i, ARRAY[i, 1] FROM generate_series(1, 30000) AS i;
CREATE INDEX sparse_v ON sparse USING engramk (v);
DELETE FROM sparse WHERE id IN (1, 29999);
VACUUM (INDEX_CLEANUP on) sparse;
CREATE FUNCTION blocks_for(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || statement INTO plan;
    RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END $$;
SELECT dead, blocks_for('INSERT INTO sparse VALUES (1, ARRAY[1, 1])') < 30 AS quick FROM engram_index_info('sparse_v');
SELECT dead, blocks_for('INSERT INTO sparse VALUES (2, ARRAY[1, 1])') < 50 AS quick FROM engram_index_info('sparse_v');
INSERT INTO sparse SELECT i, ARRAY[i, 1] FROM generate_series(3, 10) AS i;
SELECT vectors, dead FROM engram_index_info('sparse_v');
SELECT engram_index_check('sparse_v');

-- An index keeps its dimensions when it becomes empty, even when the only row
-- was never committed; REINDEX forgets them.
CREATE TABLE settled (id int, v real[]);
CREATE INDEX settled_v ON settled USING engramk (v);
BEGIN;
INSERT INTO settled VALUES (1, '{1,2,3}');
ROLLBACK;
INSERT INTO settled VALUES (1, '{1,2}');
VACUUM settled;
REINDEX INDEX settled_v;
INSERT INTO settled VALUES (1, '{1,2}');
SELECT * FROM nearest('settled', '{1,1}');

-- Only of our own indexes can one ask these
SELECT engram_index_info('item_id');
SELECT engram_index_check('item');

DROP INDEX CONCURRENTLY item_v;
DROP TABLE one, wide, sparse;
DROP TABLE temp;
SET client_min_messages = warning;
DROP SCHEMA index_tables CASCADE;
