-- Every kind of table, and every command that makes or rebuilds an index
CREATE SCHEMA tables;
SET search_path = tables, public;
\set ECHO none
\i compare.sql
\set ECHO all

CREATE UNLOGGED TABLE unlogged (id int, v vector(8));
INSERT INTO unlogged SELECT i, wave(i, 8) FROM generate_series(1, 300) AS i;
CREATE INDEX unlogged_v ON unlogged USING engramk (v vector_ip_ops);
INSERT INTO unlogged SELECT i, wave(i, 8) FROM generate_series(301, 400) AS i;
SELECT * FROM compare('unlogged', 'v <#> wave(77, 8)');
ALTER TABLE unlogged SET LOGGED;
SELECT * FROM compare('unlogged', 'v <#> wave(77, 8)');
ALTER TABLE unlogged SET UNLOGGED;
SELECT * FROM compare('unlogged', 'v <#> wave(77, 8)');

CREATE TEMPORARY TABLE temporary (id int, h halfvec(8)) ON COMMIT DELETE ROWS;
CREATE INDEX temporary_h ON temporary USING engramk (h halfvec_ip_ops);
BEGIN;
INSERT INTO temporary SELECT i, wave(i, 8) FROM generate_series(1, 300) AS i;
SELECT * FROM compare('temporary', 'h <#> wave(77, 8)::halfvec');
COMMIT;
SELECT * FROM compare('temporary', 'h <#> wave(77, 8)::halfvec');

CREATE MATERIALIZED VIEW view AS SELECT id, v::halfvec(8) AS h FROM unlogged;
CREATE INDEX view_h ON view USING engramk (h halfvec_cosine_ops);
CREATE UNIQUE INDEX ON view (id);
SELECT * FROM compare('view', 'h <=> wave(77, 8)::halfvec');
INSERT INTO unlogged SELECT i, wave(i, 8) FROM generate_series(401, 500) AS i;
REFRESH MATERIALIZED VIEW CONCURRENTLY view;
SELECT * FROM compare('view', 'h <=> wave(77, 8)::halfvec');
REFRESH MATERIALIZED VIEW view;
SELECT * FROM compare('view', 'h <=> wave(77, 8)::halfvec');

-- Partitions: those that are there, made later, and attached with and without an index
CREATE TABLE parent (id int, v vector(8)) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parent FOR VALUES FROM (0) TO (100);
CREATE INDEX parent_v ON parent USING engramk (v vector_cosine_ops);
CREATE TABLE part_2 PARTITION OF parent FOR VALUES FROM (100) TO (200);
CREATE TABLE part_3 (id int, v vector(8));
CREATE TABLE part_4 (id int, v vector(8));
INSERT INTO part_3 SELECT i, wave(i, 8) FROM generate_series(200, 299) AS i;
INSERT INTO part_4 SELECT i, wave(i, 8) FROM generate_series(300, 399) AS i;
CREATE INDEX part_3_own ON part_3 USING engramk (v vector_cosine_ops);
CREATE INDEX part_4_other ON part_4 USING engramk (v vector_l2_ops);
ALTER TABLE parent ATTACH PARTITION part_3 FOR VALUES FROM (200) TO (300);
ALTER TABLE parent ATTACH PARTITION part_4 FOR VALUES FROM (300) TO (400);
INSERT INTO parent SELECT i, wave(i, 8) FROM generate_series(0, 199) AS i;
SELECT * FROM compare('parent', 'v <=> wave(77, 8)');
SELECT * FROM compare('parent', 'v <=> wave(77, 8)', 20, 'id >= 250');
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'parent_v'::regclass ORDER BY 1;
REINDEX INDEX parent_v;
ALTER TABLE parent DETACH PARTITION part_1;
SELECT * FROM compare('parent', 'v <=> wave(77, 8)');
SELECT * FROM compare('part_1', 'v <=> wave(77, 8)');

-- Copies of a table's definition, which CREATE TABLE LIKE makes
CREATE TABLE copied (LIKE parent INCLUDING ALL);
INSERT INTO copied SELECT i, wave(i, 8) FROM generate_series(1, 100) AS i;
SELECT * FROM compare('copied', 'v <=> wave(77, 8)');

-- Concurrently, and again
CREATE TABLE item (id int, v vector(8), h halfvec(8));
INSERT INTO item SELECT i, wave(i, 8), wave(i, 8) FROM generate_series(1, 1200) AS i;
CREATE INDEX CONCURRENTLY item_v ON item USING engramk (v vector_l2_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX CONCURRENTLY IF NOT EXISTS item_v ON item USING engramk (v vector_l2_ops);
CREATE INDEX CONCURRENTLY item_h ON item USING engramk (h halfvec_l2_ops);
SELECT * FROM compare('item', 'v <-> wave(77, 8)');
REINDEX INDEX CONCURRENTLY item_v;
REINDEX INDEX item_h;
REINDEX TABLE CONCURRENTLY item;
VACUUM FULL item;
SELECT * FROM compare('item', 'v <-> wave(77, 8)');
SELECT * FROM compare('item', 'h <-> wave(77, 8)::halfvec');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'item'::regclass ORDER BY 1;

-- One that fails leaves an invalid index, which the planner leaves alone.
ALTER TABLE item ADD mixed vector;
UPDATE item SET mixed = wave(id, 3 + id % 2);
CREATE INDEX CONCURRENTLY item_mixed ON item USING engramk (mixed vector_l2_ops);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'item_mixed'::regclass;
SELECT * FROM compare('item', 'mixed <-> wave(77, 4)', filter => 'id % 2 = 1');
DROP INDEX CONCURRENTLY item_mixed;

-- With little memory, and in a build that may have workers
SET maintenance_work_mem = '1MB';
SET max_parallel_maintenance_workers = 4;
SET min_parallel_table_scan_size = 0;
REINDEX INDEX item_v;
SELECT * FROM compare('item', 'v <-> wave(77, 8)');
RESET maintenance_work_mem;

-- Vectors that are compressed, in line, or short
CREATE TABLE stored (id int, extended vector(1000), main halfvec(1000), plain vector(3));
ALTER TABLE stored ALTER extended SET STORAGE EXTENDED, ALTER main SET STORAGE MAIN, ALTER plain SET STORAGE PLAIN;
INSERT INTO stored SELECT i, array_fill(sin(i), '{1000}'), array_fill(sin(i), '{1000}'), wave(i, 3)
FROM generate_series(1, 200) AS i;
CREATE INDEX stored_extended ON stored USING engramk (extended vector_l2_ops);
CREATE INDEX stored_main ON stored USING engramk (main halfvec_l2_ops);
CREATE INDEX stored_plain ON stored USING engramk (plain vector_l2_ops);
INSERT INTO stored SELECT id + 200, extended, main, plain FROM stored;
SELECT pg_column_size(extended) < 1000 AS compressed, pg_column_size(main) < 1000 AS compressed FROM stored LIMIT 1;
SELECT * FROM compare('stored', 'extended <-> array_fill(0.5, ''{1000}'')::vector');
SELECT * FROM compare('stored', 'main <-> array_fill(0.5, ''{1000}'')::vector::halfvec');
SELECT * FROM compare('stored', 'plain <-> wave(77, 3)');
