-- Indexes are built in the format of the SQL version: 1 up to 1.4, 2 from 1.5 on.
-- Either stays as it is, and usable, until it is built again; and the way back to
-- 1.4 is closed while there is an index that 1.4 cannot read.
CREATE SCHEMA index_formats;
SET search_path = index_formats, public;
SET client_min_messages = warning;
SET enable_seqscan = off;
SET enable_sort = off;
SET max_parallel_workers_per_gather = 0;

-- Vectors that a basis helps with, so that there are coarse codes
CREATE FUNCTION vector(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((sin(i * (j % 4 + 1)) * 10 / (j / 4 + 1) + sin(i * 7.3 + j))::real ORDER BY j) FROM generate_series(0, 39) j$$;
CREATE TABLE item (id int, v real[]) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT i, vector(i) FROM generate_series(1, 3000) i;

-- What a scan finds, and what a sequential scan finds: how many differ?
CREATE FUNCTION differing() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    of_scan text[] := '{}';
    of_sort text[] := '{}';
    q real[];
BEGIN
    FOREACH q SLICE 1 IN ARRAY (SELECT array_agg(vector(i)) FROM unnest('{7,500,9999}'::int[]) i) LOOP
        of_scan := of_scan || ARRAY(SELECT id || ' ' || d FROM (SELECT id, v <-> q AS d FROM item ORDER BY v <-> q LIMIT 20) x ORDER BY d, id);
        of_sort := of_sort || ARRAY(SELECT id || ' ' || d FROM (SELECT id, v <-> q AS d FROM item ORDER BY (v <-> q) + 0, id LIMIT 20) x ORDER BY d, id);
    END LOOP;
    RETURN (SELECT count(*) FROM unnest(of_scan, of_sort) u (a, b) WHERE a IS DISTINCT FROM b);
END $$;
CREATE VIEW indexes AS
    SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE amname = 'engramk';
CREATE FUNCTION formats() RETURNS TABLE (relname name, format int) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT i.relname, f.format FROM indexes i, engram_index_info(i.oid) f WHERE relkind = 'i' ORDER BY 1;
END $$;

-- Built under 1.4
ALTER EXTENSION engramk UPDATE TO '1.4';
CREATE INDEX item_v ON item USING engramk (v);
CREATE TABLE empty (v real[]);
CREATE INDEX empty_v ON empty USING engramk (v);
CREATE UNLOGGED TABLE unlogged (v real[]);
INSERT INTO unlogged SELECT vector(i) FROM generate_series(1, 10) i;
CREATE INDEX unlogged_v ON unlogged USING engramk (v);
SELECT dimensions, vectors, dead, basis > 0 AS has_basis, coarse_bits FROM engram_index_info('item_v');
SELECT differing();
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <-> '{1}' LIMIT 20;

-- is of format 1 under 1.5, and stays so, whatever is done with it
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT * FROM formats();
INSERT INTO item SELECT i, vector(i) FROM generate_series(3001, 4000) i;
DELETE FROM item WHERE id % 3 = 0;
VACUUM item;
INSERT INTO item SELECT i, vector(i) FROM generate_series(4001, 4500) i;
INSERT INTO empty SELECT vector(i) FROM generate_series(1, 500) i;
INSERT INTO unlogged VALUES (vector(11));
SELECT engram_index_check('item_v'), engram_index_check('empty_v'), engram_index_check('unlogged_v');
SELECT differing();
SELECT * FROM formats();
SELECT format, coarse_bytes > 0 AS coarse, fine_bytes > 0 AS fine,
    basis = widths[5] AND dimensions = (SELECT sum(w) FROM unnest(widths) w) AS in_widths, survivors_expected, survivors > 0 AS survivors
FROM engram_index_info('item_v');

-- so nothing keeps it from going back, and forward, and being used there.
ALTER EXTENSION engramk UPDATE TO '1.4';
SELECT differing();
INSERT INTO item SELECT i, vector(i) FROM generate_series(4501, 5000) i;
DELETE FROM item WHERE id % 5 = 0;
VACUUM item;
INSERT INTO item SELECT i, vector(i) FROM generate_series(5001, 5100) i;
SELECT engram_index_check('item_v'), engram_index_check('empty_v');
SELECT differing();
REINDEX INDEX empty_v;
TRUNCATE unlogged;
INSERT INTO unlogged VALUES (vector(12));
CREATE INDEX CONCURRENTLY item_again ON item USING engramk (v);
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT * FROM formats();
DROP INDEX item_again;

-- Whatever builds an index under 1.5 builds format 2.
REINDEX INDEX item_v;
TRUNCATE empty, unlogged;
INSERT INTO unlogged VALUES (vector(13));
SELECT * FROM formats();
SELECT format, coarse_bytes > 0 AS coarse, fine_bytes > 0 AS fine, basis > 0 AS has_basis,
    basis = widths[2] + widths[3] + widths[4] + widths[5] AND dimensions = (SELECT sum(w) FROM unnest(widths) w) AS in_widths,
    survivors_expected > 0 AS expected
FROM engram_index_info('item_v');
SELECT differing();
SELECT i.relname, f.survivors > 0 AS survivors FROM indexes i, engram_index_info(i.oid) f ORDER BY 1;
DELETE FROM item WHERE id % 7 = 0;
VACUUM item;
INSERT INTO item SELECT i, vector(i) FROM generate_series(5101, 5600) i;
INSERT INTO empty SELECT vector(i) FROM generate_series(1, 500) i;
SELECT engram_index_check('item_v'), engram_index_check('empty_v'), engram_index_check('unlogged_v');
SELECT differing();
SELECT * FROM formats();

-- Such an index keeps 1.4 away, by its name and schema, wherever it is: the
-- partitions of a table, a part of its rows, one that is not valid, one of this
-- session.
CREATE SCHEMA "Else where";
CREATE TABLE "Else where"."A table" (tenant int, v real[]);
INSERT INTO "Else where"."A table" SELECT 1, vector(i) FROM generate_series(1, 10) i;
CREATE INDEX "An index of some" ON "Else where"."A table" USING engramk (v) WHERE tenant = 1;
CREATE TABLE parted (tenant int, v real[]) PARTITION BY LIST (tenant);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE INDEX parted_v ON parted USING engramk (v);
CREATE TABLE uneven (v real[]);
INSERT INTO uneven VALUES ('{1,2}'), ('{1,2,3}');
CREATE INDEX CONCURRENTLY uneven_v ON uneven USING engramk (v);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'uneven_v'::regclass;
CREATE TEMPORARY TABLE own (v real[]);
INSERT INTO own VALUES ('{1,2}');
CREATE INDEX own_v ON own USING engramk (v);
CREATE INDEX item_id ON item (id);

CREATE FUNCTION blocking(statement text, OUT code text, OUT names text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, names = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    names := regexp_replace(names, 'pg_temp_\d+', 'pg_temp');
END $$;
\x
SELECT * FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
\x
SELECT extversion FROM pg_extension WHERE extname = 'engramk';
SELECT differing();
-- nor can it be gone around
SELECT code FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.1'$$);
-- The question alone
SELECT code, detail FROM blocking('SELECT engram_require_format(0)');
SELECT code, detail FROM blocking('SELECT engram_require_format(-1)');
SELECT engram_require_format(2), engram_require_format(NULL);

-- One by one, until the last is gone
DROP INDEX item_v, empty_v, unlogged_v, "Else where"."An index of some", uneven_v, own_v;
SELECT names FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
DROP INDEX parted_v;
SELECT * FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
SELECT extversion FROM pg_extension WHERE extname = 'engramk';
CREATE INDEX CONCURRENTLY item_v ON item USING engramk (v);
CREATE INDEX own_v ON own USING engramk (v);
CREATE INDEX parted_v ON parted USING engramk (v);
INSERT INTO parted SELECT i % 2 + 1, vector(i) FROM generate_series(1, 100) i;
SELECT differing();
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT * FROM formats();
REINDEX TABLE CONCURRENTLY item;
SELECT * FROM formats();
SELECT differing();

-- In one transaction: what has been dropped in it is gone, what has been built is there.
BEGIN;
DROP INDEX item_v;
ALTER EXTENSION engramk UPDATE TO '1.4';
CREATE INDEX item_v ON item USING engramk (v);
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT * FROM formats();
REINDEX INDEX item_v;
SELECT names FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
ROLLBACK;

-- A view on engram_index_info keeps 1.4 away too, as it has other columns there.
DROP INDEX item_v;
CREATE VIEW sizes AS SELECT i.relname, f.bytes_per_vector FROM indexes i, engram_index_info(i.oid) f;
SELECT code, names, detail FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
DROP VIEW sizes;

DROP SCHEMA index_formats, "Else where" CASCADE;
