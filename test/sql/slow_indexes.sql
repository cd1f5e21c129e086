-- Why scans of an index are slower than they could be, in words, and what takes each
-- away.  "old format" is in index_formats.
CREATE SCHEMA slow_indexes;
SET search_path = slow_indexes, public;
SET client_min_messages = warning;
CREATE FUNCTION narrow(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((sin(i * (j % 4 + 1)) * 10 / (j / 4 + 1) + hashint8(i * 1000 + j)::float8 / 1e9)::real ORDER BY j) FROM generate_series(0, 39) j$$;
CREATE FUNCTION other(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((sin(i * (j % 5 + 2)) * 10 / (11 - j / 4) + hashint8(i * 1000 + j)::float8 / 1e9)::real ORDER BY j) FROM generate_series(0, 39) j$$;
CREATE FUNCTION close(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((30 * sin(j * j) + hashint8(i * 1000 + j)::float8 / 1e9)::real ORDER BY j) FROM generate_series(0, 39) j$$;
CREATE FUNCTION noise(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((hashint8(i * 1000 + j)::float8 / 2147483648)::real ORDER BY j) FROM generate_series(1, 128) j$$;
CREATE TABLE item (id int, v real[]) WITH (autovacuum_enabled = off);
CREATE INDEX item_v ON item USING engramk (v);
CREATE VIEW how AS SELECT vectors, basis > 0 AS has_basis, basis_vectors, recoding, slow_because FROM engram_index_info('item_v');

-- Nothing is slow that is empty, or has a few vectors;
SELECT * FROM how;
INSERT INTO item SELECT i, narrow(i) FROM generate_series(1, 999) i;
SELECT * FROM how;
VACUUM item;
SELECT * FROM how;
-- with more, it wants a basis, which VACUUM finds;
INSERT INTO item SELECT i, narrow(i) FROM generate_series(1000, 3000) i;
SELECT * FROM how;
SELECT schemaname, relname, indexrelname, indexrelid = 'item_v'::regclass AS oid, slow_because FROM engram_slow_indexes;
VACUUM item;
SELECT * FROM how;
SELECT count(*) FROM engram_slow_indexes;
-- and another once it has grown, or once its vectors are others.
INSERT INTO item SELECT i, narrow(i) FROM generate_series(3001, 11999) i;
SELECT * FROM how;
INSERT INTO item SELECT i, narrow(i) FROM generate_series(12000, 12000) i;
SELECT * FROM how;
VACUUM item;
SELECT * FROM how;
INSERT INTO item SELECT i, other(i) FROM generate_series(12001, 18000) i;
SELECT * FROM how;
VACUUM item;
SELECT * FROM how;

-- Entries that are free stand between others: until they are used again, or it is
-- built again.
DELETE FROM item WHERE id % 2 = 0;
SELECT * FROM how;
VACUUM item;
SELECT * FROM how;
INSERT INTO item SELECT i, other(i) FROM generate_series(18001, 22000) i;
SELECT * FROM how;
DELETE FROM item WHERE id > 18000;
VACUUM item;
SELECT * FROM how;
REINDEX INDEX item_v;
SELECT * FROM how;

-- Vectors that are closer to each other than those before have smaller residuals, and
-- are told apart the worse.
DELETE FROM item;
VACUUM item;
SELECT * FROM how;
INSERT INTO item SELECT i, close(i) FROM generate_series(1, 6000) i;
SELECT * FROM how;
VACUUM item;
SELECT * FROM how;
REINDEX INDEX item_v;

-- Pages have room for codes of a length that was chosen before there were vectors.
CREATE TABLE dense (v real[]) WITH (autovacuum_enabled = off);
CREATE INDEX dense_v ON dense USING engramk (v);
INSERT INTO dense SELECT noise(i) FROM generate_series(1, 6000) i;
SELECT engram_index_slow_because('dense_v');
VACUUM dense;
SELECT engram_index_slow_because('dense_v');
-- The arena is that of the session that asks.
SET engramk.arena_size = '64kB';
SELECT engram_index_slow_because('dense_v');
SELECT indexrelname, slow_because FROM engram_slow_indexes ORDER BY 1;
REINDEX INDEX dense_v;
SELECT engram_index_slow_because('dense_v');
RESET engramk.arena_size;
SELECT engram_index_slow_because('dense_v');

-- NULL where it cannot be told: what is no index of ours, or is not there
CREATE INDEX item_id ON item (id);
SELECT engram_index_slow_because('item_id'), engram_index_slow_because('item'), engram_index_slow_because(0), engram_index_slow_because(NULL);
-- A part of a table's rows; and an index that is not valid, which the view leaves out
CREATE INDEX part_v ON item USING engramk (v) WHERE id < 10;
SELECT engram_index_slow_because('part_v');
CREATE TABLE uneven (v real[]) WITH (autovacuum_enabled = off);
INSERT INTO uneven SELECT narrow(i) FROM generate_series(1, 2000) i;
INSERT INTO uneven VALUES ('{1,2,3}');
CREATE INDEX CONCURRENTLY uneven_v ON uneven USING engramk (v);
SELECT indexrelname, slow_because FROM engram_slow_indexes ORDER BY 1;
DROP SCHEMA slow_indexes CASCADE;
