-- Indexes are built in the format of the SQL version: 1 up to 1.4, 2 under 1.5, 3 from
-- 1.6 on.  Each stays as it is, and usable, until it is built again; and the way back
-- is closed while there is an index that the older version cannot read.
CREATE SCHEMA index_formats;
SET search_path = index_formats, public;
SET client_min_messages = warning;
SET enable_seqscan = off;
SET enable_sort = off;
SET max_parallel_workers_per_gather = 0;

-- Vectors that a basis helps with, so that there are coarse codes
CREATE FUNCTION vector(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((sin(i * (j % 4 + 1)) * 10 / (j / 4 + 1) + sin(i * 7.3 + j))::real ORDER BY j) FROM generate_series(0, 39) j$$;

-- The same for each format: much, nothing at first, and what is gone after a crash
CREATE FUNCTION do_each(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR f IN 1..3 LOOP
        EXECUTE replace(statement, '@', f::text);
    END LOOP;
END $$;
CREATE FUNCTION build(f text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE replace('CREATE INDEX item_@_v ON item_@ USING engramk (v)', '@', f);
    EXECUTE replace('CREATE INDEX empty_@_v ON empty_@ USING engramk (v)', '@', f);
    EXECUTE replace('CREATE INDEX unlogged_@_v ON unlogged_@ USING engramk (v)', '@', f);
END $$;
CREATE FUNCTION insert_each(first int, last int) RETURNS void LANGUAGE sql AS $$
    SELECT do_each(format('INSERT INTO item_@ SELECT i, vector(i) FROM generate_series(%s, %s) i', first, last))
$$;

-- What a scan finds, and what a sequential scan finds: how many differ?
CREATE FUNCTION differing(item text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    of_scan text[];
    of_sort text[];
    q real[];
    found bigint := 0;
BEGIN
    FOREACH q SLICE 1 IN ARRAY (SELECT array_agg(vector(i)) FROM unnest('{7,500,9999}'::int[]) i) LOOP
        EXECUTE format('SELECT ARRAY(SELECT id || '' '' || d FROM
            (SELECT id, v <-> $1 AS d FROM %I ORDER BY v <-> $1 LIMIT 20) x ORDER BY d, id)', item) INTO of_scan USING q;
        EXECUTE format('SELECT ARRAY(SELECT id || '' '' || d FROM
            (SELECT id, v <-> $1 AS d FROM %I ORDER BY (v <-> $1) + 0, id LIMIT 20) x ORDER BY d, id)', item) INTO of_sort USING q;
        found := found + (SELECT count(*) FROM unnest(of_scan, of_sort) u (a, b) WHERE a IS DISTINCT FROM b);
    END LOOP;
    RETURN found;
END $$;
CREATE VIEW differences AS
    SELECT f AS built_as, differing('item_' || f) AS item FROM generate_series(1, 3) f;
CREATE VIEW indexes AS
    SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE amname = 'engramk';
-- by the names of the indexes, the formats that they are of
CREATE FUNCTION formats() RETURNS TABLE (format int, names text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT f.format, string_agg(i.relname, ' ' ORDER BY i.relname COLLATE "C")
        FROM indexes i, engram_index_info(i.oid) f WHERE relkind = 'i' GROUP BY 1 ORDER BY 1;
END $$;
CREATE FUNCTION checked() RETURNS TABLE (built_as int, item bigint, empty bigint, unlogged bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT f, engram_index_check(format('item_%s_v', f)::regclass),
        engram_index_check(format('empty_%s_v', f)::regclass), engram_index_check(format('unlogged_%s_v', f)::regclass)
        FROM generate_series(1, 3) f;
END $$;

SELECT do_each('CREATE TABLE item_@ (id int, v real[]) WITH (autovacuum_enabled = off)');
SELECT do_each('CREATE TABLE empty_@ (v real[]) WITH (autovacuum_enabled = off)');
SELECT do_each('CREATE UNLOGGED TABLE unlogged_@ (v real[]) WITH (autovacuum_enabled = off)');
SELECT insert_each(1, 3000);
SELECT do_each('INSERT INTO unlogged_@ SELECT vector(i) FROM generate_series(1, 10) i');

-- Built under each version
ALTER EXTENSION engramk UPDATE TO '1.4';
SELECT build('1');
SELECT dimensions, vectors, dead, basis > 0 AS has_basis, coarse_bits FROM engram_index_info('item_1_v');
EXPLAIN (COSTS OFF) SELECT id FROM item_1 ORDER BY v <-> '{1}' LIMIT 20;
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT build('2');
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT build('3');

-- Workers have a share of format 3 only: one that has loaded the library of 1.5, or of
-- 1.4, knows of no shares, and can read the others.
CREATE FUNCTION is_parallel(item text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN SELECT id FROM %I ORDER BY v <-> ''{1}'' LIMIT 20', item) LOOP
        IF line LIKE '%Parallel Index Scan%' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET cpu_tuple_cost = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT f AS built_as, is_parallel('item_' || f) FROM generate_series(1, 3) f;
RESET parallel_tuple_cost;
RESET parallel_setup_cost;
RESET cpu_tuple_cost;
RESET min_parallel_index_scan_size;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- it stays so, whatever is done with it.
SELECT * FROM formats();
SELECT * FROM differences;
SELECT insert_each(3001, 4000);
SELECT do_each('DELETE FROM item_@ WHERE id % 3 = 0');
VACUUM item_1, item_2, item_3;
SELECT insert_each(4001, 4500);
SELECT do_each('INSERT INTO empty_@ SELECT vector(i) FROM generate_series(1, 500) i');
SELECT do_each('INSERT INTO unlogged_@ VALUES (vector(11))');
SELECT * FROM checked();
SELECT * FROM differences;
SELECT * FROM formats();
SELECT f AS format, i.format = f AS is_it, coarse_bytes > 0 AS coarse, fine_bytes > 0 AS fine, basis > 0 AS has_basis,
    basis = CASE f WHEN 1 THEN widths[5] ELSE widths[2] + widths[3] + widths[4] + widths[5] END
        AND dimensions = (SELECT sum(w) FROM unnest(widths) w) AS in_widths,
    survivors_expected > 0 AS expected, survivors > 0 AS survivors, basis_vectors, recoding, slow_because
FROM generate_series(1, 3) f, engram_index_info(format('item_%s_v', f)::regclass) i;
SELECT indexrelname, slow_because FROM engram_slow_indexes WHERE schemaname = 'index_formats' ORDER BY 1;

-- Nothing keeps those of 1.5 and before from going back to 1.5, nor those of 1.4 from
-- going on to 1.4, and being used there.
DROP TABLE item_3, empty_3, unlogged_3;
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT * FROM formats();
SELECT f AS built_as, differing('item_' || f) FROM generate_series(1, 2) f;
INSERT INTO item_2 SELECT i, vector(i) FROM generate_series(4501, 5000) i;
DELETE FROM item_2 WHERE id % 5 = 0;
VACUUM item_2;
INSERT INTO item_2 SELECT i, vector(i) FROM generate_series(5001, 5100) i;
SELECT engram_index_check('item_2_v'), engram_index_check('empty_2_v'), differing('item_2');
REINDEX INDEX empty_1_v;
SELECT * FROM formats();
DROP TABLE item_2, empty_1, empty_2, unlogged_2;
ALTER EXTENSION engramk UPDATE TO '1.4';
SELECT differing('item_1');
INSERT INTO item_1 SELECT i, vector(i) FROM generate_series(4501, 5000) i;
DELETE FROM item_1 WHERE id % 5 = 0;
VACUUM item_1;
INSERT INTO item_1 SELECT i, vector(i) FROM generate_series(5001, 5100) i;
SELECT engram_index_check('item_1_v'), differing('item_1');
CREATE TABLE empty (v real[]);
CREATE INDEX empty_v ON empty USING engramk (v);
REINDEX INDEX empty_v;
TRUNCATE unlogged_1;
INSERT INTO unlogged_1 VALUES (vector(12));
CREATE INDEX CONCURRENTLY item_again ON item_1 USING engramk (v);
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT * FROM formats();
DROP INDEX item_again;
ALTER TABLE item_1 RENAME TO item;
ALTER INDEX item_1_v RENAME TO item_v;
ALTER TABLE unlogged_1 RENAME TO unlogged;
ALTER INDEX unlogged_1_v RENAME TO unlogged_v;

-- Whatever builds an index of one column from 1.6 on builds format 3.
REINDEX INDEX item_v;
TRUNCATE empty, unlogged;
INSERT INTO unlogged VALUES (vector(13));
SELECT * FROM formats();
SELECT basis > 0 AS has_basis, survivors_expected > 0 AS expected, basis_vectors, recoding, slow_because FROM engram_index_info('item_v');
SELECT differing('item');
SELECT i.relname, f.survivors > 0 AS survivors FROM indexes i, engram_index_info(i.oid) f ORDER BY 1;
DELETE FROM item WHERE id % 7 = 0;
VACUUM item;
INSERT INTO item SELECT i, vector(i) FROM generate_series(5101, 5600) i;
INSERT INTO empty SELECT vector(i) FROM generate_series(1, 500) i;
SELECT engram_index_check('item_v'), engram_index_check('empty_v'), engram_index_check('unlogged_v');
SELECT differing('item');
SELECT * FROM formats();

-- Such an index keeps 1.5 away, by its name and schema, wherever it is: the
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
SELECT * FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
\x
SELECT extversion FROM pg_extension WHERE extname = 'engramk';
SELECT differing('item');
-- nor can it be gone around
SELECT code FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
SELECT code FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.1'$$);
-- The question alone
SELECT code, detail FROM blocking('SELECT engram_require_format(0)');
SELECT code, detail FROM blocking('SELECT engram_require_format(-1)');
SELECT code, detail FROM blocking('SELECT engram_require_format(1)');
SELECT code, detail FROM blocking('SELECT engram_require_format(2)');
SELECT engram_require_format(3), engram_require_format(NULL);

-- One by one, until the last is gone
DROP INDEX item_v, empty_v, unlogged_v, "Else where"."An index of some", uneven_v, own_v;
SELECT names FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
DROP INDEX parted_v;
SELECT * FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
SELECT extversion FROM pg_extension WHERE extname = 'engramk';
CREATE INDEX CONCURRENTLY item_v ON item USING engramk (v);
CREATE INDEX own_v ON own USING engramk (v);
CREATE INDEX parted_v ON parted USING engramk (v);
INSERT INTO parted SELECT i % 2 + 1, vector(i) FROM generate_series(1, 100) i;
SELECT differing('item');
-- and those that are built there keep 1.4 away
SELECT names, detail FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT names, detail FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.4'$$);
SELECT extversion FROM pg_extension WHERE extname = 'engramk';
SELECT * FROM formats();
REINDEX TABLE CONCURRENTLY item;
SELECT * FROM formats();
SELECT differing('item');

-- In one transaction: what has been dropped in it is gone, what has been built is there.
BEGIN;
DROP INDEX item_v;
ALTER EXTENSION engramk UPDATE TO '1.5';
CREATE INDEX item_v ON item USING engramk (v);
ALTER EXTENSION engramk UPDATE TO '1.9';
SELECT * FROM formats();
REINDEX INDEX item_v;
SELECT names FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
ROLLBACK;

-- A view on engram_index_info keeps 1.5 away too, as it has other columns there; and
-- so does one on what is new.
DROP INDEX item_v;
CREATE VIEW sizes AS SELECT i.relname, f.bytes_per_vector FROM indexes i, engram_index_info(i.oid) f;
SELECT code, names, detail FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
DROP VIEW sizes;
CREATE VIEW slow AS SELECT i.relname, engram_index_slow_because(i.oid) FROM indexes i;
SELECT code, detail FROM blocking($$ALTER EXTENSION engramk UPDATE TO '1.5'$$);
DROP VIEW slow;

DROP SCHEMA index_formats, "Else where" CASCADE;
