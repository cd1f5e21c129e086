-- The index follows the table: what is inserted, updated, deleted, rolled back or
-- vacuumed is in the next answer as it is in the table's.
CREATE SCHEMA changes;
SET search_path = changes, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int PRIMARY KEY, note int, v vector(8), h halfvec(8))
    WITH (autovacuum_enabled = off, fillfactor = 70);
CREATE INDEX item_v ON item USING engramk (v vector_cosine_ops) WITH (m = 4, ef_construction = 8);
CREATE INDEX item_h ON item USING engramk (h halfvec_l2_ops);
CREATE FUNCTION state(OUT rows int, OUT equal_10 boolean, OUT equal boolean, OUT checked boolean) LANGUAGE sql AS $$
    SELECT v.rows, v10.equal AND h10.equal, v.equal AND h.equal,
        engram_index_check('item_v') + engram_index_check('item_h') >= 2 * v.rows
    FROM compare('item', 'v <=> wave(77, 8)', 10) AS v10, compare('item', 'h <-> wave(77, 8)::halfvec', 10) AS h10,
        compare('item', 'v <=> wave(77, 8)') AS v, compare('item', 'h <-> wave(77, 8)::halfvec') AS h
$$;

-- Into an empty index, and more
SELECT * FROM state();
INSERT INTO item SELECT i, 0, wave(i, 8), wave(i, 8) FROM generate_series(1, 1500) AS i;
SELECT * FROM state();
COPY item (id, note, v, h) FROM STDIN;
1501	0	[1,2,3,4,5,6,7,8]	[1,2,3,4,5,6,7,8]
1502	0	\N	\N
1503	0	[0,0,0,0,0,0,0,0]	[0,0,0,0,0,0,0,0]
\.
SELECT * FROM state();

-- Updates, with and without a new vector
UPDATE item SET note = 1 WHERE id % 2 = 0;
UPDATE item SET v = wave(id + 10000, 8), h = wave(id + 20000, 8) WHERE id % 3 = 0;
UPDATE item SET v = NULL WHERE id % 100 = 0;
SELECT * FROM state();
INSERT INTO item VALUES (5, 1, wave(77, 8), wave(77, 8)), (6, 1, wave(77, 8), wave(77, 8))
ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v, h = EXCLUDED.h;
SELECT * FROM state();

-- What is rolled back has not been, to a savepoint neither.
BEGIN;
DELETE FROM item WHERE id < 700;
SELECT * FROM state();
SAVEPOINT s;
INSERT INTO item SELECT i, 0, wave(77, 8), wave(77, 8) FROM generate_series(3001, 3100) AS i;
SELECT * FROM state();
ROLLBACK TO s;
SELECT * FROM state();
ROLLBACK;
SELECT * FROM state();

-- Deleted, vacuumed, and filled again; then all but one row
DELETE FROM item WHERE id > 200;
SELECT * FROM state();
VACUUM item;
SELECT * FROM state();
SELECT pg_relation_size('item_v') AS bytes \gset before_
INSERT INTO item SELECT i, 0, wave(i, 8), wave(i, 8) FROM generate_series(201, 1500) AS i;
SELECT * FROM state();
SELECT pg_relation_size('item_v') <= :before_bytes AS used_again;
DELETE FROM item WHERE id <> 123;
VACUUM item;
SELECT * FROM state();
TRUNCATE item;
SELECT * FROM state();
INSERT INTO item SELECT i, 0, wave(i, 8), wave(i, 8) FROM generate_series(1, 50) AS i;
SELECT * FROM state();

-- A cursor sees the rows of its beginning.
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_sort = off;
DECLARE c CURSOR FOR SELECT id FROM item ORDER BY v <=> wave(77, 8);
FETCH 1 FROM c;
DELETE FROM item;
INSERT INTO item SELECT i, 0, wave(77, 8), wave(77, 8) FROM generate_series(101, 110) AS i;
MOVE FORWARD 48 IN c;
FETCH ALL FROM c;
ROLLBACK;

-- Thousands of equal vectors, more than hnsw keeps at one place
CREATE TABLE duplicate (v vector(3));
INSERT INTO duplicate SELECT '[1,1,1]' FROM generate_series(1, 3000);
CREATE INDEX duplicate_v ON duplicate USING engramk (v vector_l2_ops);
INSERT INTO duplicate SELECT '[1,1,1]' FROM generate_series(1, 2000);
INSERT INTO duplicate VALUES ('[1,1,2]'), ('[1,1,0]');
SELECT * FROM compare('duplicate', 'v <-> ''[1,1,1]''', 10);
SELECT * FROM compare('duplicate', 'v <-> ''[1,1,1]''');
SELECT * FROM compare('duplicate', 'v <-> ''[1,1,1.7]''', 4);
DELETE FROM duplicate WHERE ctid IN (SELECT ctid FROM duplicate LIMIT 4000);
VACUUM duplicate;
SELECT * FROM compare('duplicate', 'v <-> ''[1,1,1]''');

-- Another type: PostgreSQL goes over to its default operator class, and to no other.
ALTER TABLE item ALTER v TYPE halfvec(8);
ALTER TABLE duplicate ALTER v TYPE halfvec(3);
SELECT pg_get_indexdef('duplicate_v'::regclass);
SELECT * FROM compare('duplicate', 'v <-> ''[1,1,1]''');
