-- What shows in larger indexes only: coarse pages enough that a pass looks at a
-- sample of them first, neighbours that are all on the first pages or the last,
-- stretches of several sizes, and what VACUUM leaves.
CREATE SCHEMA index_large;
SET search_path = index_large, public;
SET jit = off;
\set ECHO none
\i test/index/vector_type.sql
\set ECHO all
SET max_parallel_workers_per_gather = 0;

-- Thirty thousand rows in ten clusters, one after another in the table; a few zero
-- vectors, and a few NULLs
SELECT setseed(0.5) IS NOT NULL AS seeded;
CREATE TABLE item (id int, v vec) WITH (autovacuum_enabled = off);
INSERT INTO item
SELECT i, CASE WHEN i % 1999 = 0 THEN NULL WHEN i % 2999 = 0 THEN array_fill(0::real, ARRAY[64])
    ELSE ARRAY(SELECT (sin((i - 1) / 3000 * 64 + j) * 0.5 + random() - 0.5)::real FROM generate_series(1, 64) AS j) END::vec
FROM generate_series(1, 30000) AS i;

-- An index that is built, and one that was built from few and has grown since,
-- into other pages and in another order
CREATE TABLE grown (id int, v vec) WITH (autovacuum_enabled = off);
INSERT INTO grown SELECT * FROM item WHERE id % 15 = 0;
CREATE INDEX grown_v ON grown USING engramk (v);
INSERT INTO grown SELECT * FROM item WHERE id % 15 <> 0 ORDER BY id DESC;
CREATE INDEX item_v ON item USING engramk (v);
SELECT engram_index_check('item_v') AS item, engram_index_check('grown_v') AS grown;
SELECT bool_and(basis > 0 AND pages > 500) AS large FROM unnest(ARRAY['item_v', 'grown_v']) AS i, engram_index_info(i);

-- Queries near the first rows, the last, those between; opposite to all; of no
-- direction; and the same of other lengths
CREATE TABLE query AS
SELECT name, as_vec(q) AS q FROM (
    SELECT 'row ' || id, v::real[] FROM item WHERE id IN (17, 15017, 29983)
    UNION ALL SELECT 'opposite', ARRAY(SELECT -e FROM unnest(v::real[]) WITH ORDINALITY AS u(e, n) ORDER BY n) FROM item WHERE id = 29983
    UNION ALL SELECT 'zero', v::real[] FROM item WHERE id = 2999
    UNION ALL SELECT 'short', ARRAY(SELECT (e * 1e-12)::real FROM unnest(v::real[]) WITH ORDINALITY AS u(e, n) ORDER BY n) FROM item WHERE id = 17
    UNION ALL SELECT 'long', ARRAY(SELECT (e * 1e12)::real FROM unnest(v::real[]) WITH ORDINALITY AS u(e, n) ORDER BY n) FROM item WHERE id = 29983
    ) AS x(name, q);

\i test/index/right.sql
SELECT * FROM wrong('item', '{1,10,700}');
SELECT * FROM wrong('grown', '{1,10,700}');
SET engramk.arena_size = '64kB';
SELECT * FROM wrong('item', '{5}');
SELECT * FROM wrong('grown', '{5}');

-- A cursor to the end, which makes many passes, beside rows that come and go: each
-- row of its snapshot once, in ascending order
CREATE FUNCTION to_the_end(statement text, OUT rows bigint, OUT ids bigint, OUT youngest int, OUT ascending boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    r record;
    last float8 := '-Infinity';
    seen int[] := '{}';
BEGIN
    ascending := true;
    FOR r IN EXECUTE statement LOOP
        ascending := ascending AND (r.d IS NULL OR r.d >= last);
        last := r.d;
        seen := array_append(seen, r.id);
        IF cardinality(seen) % 5000 = 1 THEN
            INSERT INTO grown SELECT 100000 + cardinality(seen) + i, v FROM generate_series(1, 200) AS i, item WHERE id = 17;
            DELETE FROM grown WHERE id > 100000 AND id % 3 = 0;
        END IF;
    END LOOP;
    SELECT count(*), count(DISTINCT i), max(i) INTO rows, ids, youngest FROM unnest(seen) AS i;
END $$;
SELECT * FROM to_the_end('SELECT id, v <-> (SELECT q FROM query WHERE name = ''row 17'') AS d FROM grown ORDER BY v <-> (SELECT q FROM query WHERE name = ''row 17'')');
DELETE FROM grown WHERE id > 100000;
SELECT * FROM to_the_end('SELECT id, v <#> (SELECT q FROM query WHERE name = ''long'') AS d FROM item ORDER BY v <#> (SELECT q FROM query WHERE name = ''long'')');
RESET engramk.arena_size;

-- VACUUM makes the codes of dead rows forgotten: a scan to the end reads the fine
-- codes of those that are left, and not one more.
DELETE FROM grown WHERE id NOT IN (17, 2999, 15017, 15018, 29983);
VACUUM (INDEX_CLEANUP on) grown;
SELECT engram_index_check('grown_v') AS left;
CREATE FUNCTION counted(OUT passes bigint, OUT fine_codes bigint, OUT reranked bigint, OUT rows bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    old record;
    new record;
BEGIN
    SELECT * INTO old FROM engram_stat_indexes WHERE schemaname = 'index_large' AND indexrelname = 'grown_v';
    SELECT count(*) INTO rows FROM (SELECT id FROM grown ORDER BY v <=> (SELECT q FROM query WHERE name = 'row 17')) AS x;
    SELECT * INTO new FROM engram_stat_indexes WHERE schemaname = 'index_large' AND indexrelname = 'grown_v';
    SELECT new.passes - old.passes, new.fine_codes - old.fine_codes, new.reranked - old.reranked INTO passes, fine_codes, reranked;
END $$;
SELECT * FROM counted();
-- and one for the nearest comes to the pages of no others
CREATE FUNCTION blocks_for(statement text) RETURNS int LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || statement INTO plan;
    RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END $$;
SELECT blocks_for('SELECT id FROM grown ORDER BY v <=> (SELECT q FROM query WHERE name = ''row 17'') LIMIT 2') < pages * 0.6 AS few FROM engram_index_info('grown_v');
-- and are used again, each for another row
INSERT INTO grown SELECT id, v FROM item WHERE id NOT IN (17, 2999, 15017, 15018, 29983) AND id % 2 = 0;
SELECT vectors = 15004 AS in_use, dead > 0 AS some_free FROM engram_index_info('grown_v');
SELECT engram_index_check('grown_v') AS left;
SELECT * FROM wrong('grown', '{1,10}');

SET client_min_messages = warning;
DROP SCHEMA index_large CASCADE;
