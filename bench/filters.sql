-- Which plan the planner takes for ten neighbours under a filter, by how many
-- rows pass it, and what each plan takes, by turns; where the rows that pass are
-- scattered among the others, and where they are all far from the query, which the
-- planner cannot know.  And what a storm of ties costs.
--
--	test/with-cluster.sh -o jit=off -o shared_buffers=1GB psql -X -q -f bench/filters.sql
\set QUIET on
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION engramk;
SELECT setseed(0.5) \g /dev/null
CREATE TABLE items (id integer, scattered integer, far integer, embedding real[]);
ALTER TABLE items ALTER embedding SET STORAGE plain;
-- Variance falls off with the dimension.  About 2^t rows are of kind t.
INSERT INTO items
    SELECT i, floor(log(2, 1 + (i * 7919::bigint) % 300007))::integer, 0,
        ARRAY(SELECT ((random() - 0.5) / j)::real FROM generate_series(1, 64) AS j WHERE i > 0)
    FROM generate_series(1, 300000) AS i;
CREATE TABLE query AS SELECT row_number() OVER () AS id, embedding FROM items WHERE id % 30011 = 0 LIMIT 5;
-- The further from the first query, the smaller the kind.
UPDATE items SET far = ordered.far FROM (
    SELECT id AS item, floor(log(2, 1 + (300001 - row_number() OVER (
        ORDER BY embedding <=> (SELECT embedding FROM query WHERE id = 1)))))::integer AS far
    FROM items) AS ordered
WHERE items.id = ordered.item;
VACUUM FULL items;
CREATE INDEX ON items (scattered);
CREATE INDEX ON items (far);
CREATE INDEX ON items USING engramk (embedding);
VACUUM ANALYZE items;
ANALYZE query;
CHECKPOINT;

CREATE FUNCTION pg_temp.measure(statement text, OUT plan text, OUT ms numeric) LANGUAGE plpgsql AS $$
DECLARE
    explained json;
BEGIN
    -- the second time, so that no plan pays for what the one before left in the caches
    FOR turn IN 1..2 LOOP
        EXECUTE 'EXPLAIN (ANALYZE, TIMING off, FORMAT json) ' || statement INTO explained;
    END LOOP;
    plan := CASE WHEN explained::text LIKE '%"Fallbacks": 1%' THEN 'engramk, then fell back'
                 WHEN explained::text LIKE '%"Index Scan"%embedding <=>%' THEN 'engramk'
                 WHEN explained::text LIKE '%Bitmap%' OR explained::text LIKE '%items_scattered_idx%' OR explained::text LIKE '%items_far_idx%' THEN 'other index and sort'
                 ELSE 'sequential and sort' END;
    ms := (explained -> 0 ->> 'Execution Time')::numeric;
END $$;

CREATE TEMP TABLE figure (filter text, kind integer, query integer, setting text, plan text, ms numeric);
CREATE FUNCTION pg_temp.try(filter text, kind integer, query integer, setting text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('enable_indexscan', CASE WHEN setting = 'without' THEN 'off' ELSE 'on' END, true),
        set_config(s, CASE WHEN setting = 'engramk' THEN 'off' ELSE 'on' END, true)
    FROM unnest('{enable_bitmapscan,enable_seqscan,enable_sort}'::text[]) AS s;
    INSERT INTO figure SELECT filter, kind, query, setting, m.plan, m.ms
    FROM pg_temp.measure(format(
        'SELECT id FROM items WHERE %I = %s ORDER BY embedding <=> (SELECT embedding FROM query WHERE id = %s) LIMIT 10',
        filter, kind, query)) AS m;
END $$;
-- Scattered, for five queries; far, for the one that the rows are far from.
SELECT pg_temp.try('scattered', kind, query, setting)
FROM generate_series(0, 4) AS round, generate_series(4, 18) AS kind, generate_series(1, 5) AS query,
    unnest('{free,engramk,without}'::text[]) AS setting \g /dev/null
SELECT pg_temp.try('far', kind, 1, setting)
FROM generate_series(0, 2) AS round, generate_series(4, 18) AS kind,
    unnest('{free,engramk,without}'::text[]) AS setting \g /dev/null
RESET ALL;

CREATE TEMP VIEW line AS
    SELECT filter, kind, setting, mode() WITHIN GROUP (ORDER BY plan) AS plan,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms
    FROM figure GROUP BY filter, kind, setting;
CREATE TEMP VIEW rows_of AS
    SELECT 'scattered' AS filter, scattered AS kind, count(*) AS rows FROM items GROUP BY scattered
    UNION ALL SELECT 'far', far, count(*) FROM items GROUP BY far;
CREATE TEMP VIEW beside AS
    SELECT r.filter, r.rows, f.plan, round(f.ms::numeric, 2) AS ms, round(e.ms::numeric, 2) AS engramk,
        round(w.ms::numeric, 2) AS without, round((f.ms / least(e.ms, w.ms))::numeric, 2) AS ratio
    FROM rows_of AS r
        JOIN line AS f ON (f.filter, f.kind, f.setting) = (r.filter, r.kind, 'free')
        JOIN line AS e ON (e.filter, e.kind, e.setting) = (r.filter, r.kind, 'engramk')
        JOIN line AS w ON (w.filter, w.kind, w.setting) = (r.filter, r.kind, 'without');

\echo Ten neighbours among the rows of one kind, scattered among 300,000 rows x 64
SELECT rows AS "rows that pass", plan AS "the planner takes", ms, engramk AS "engramk, ms",
    without AS "without it, ms", ratio AS "to the best"
FROM beside WHERE filter = 'scattered' ORDER BY rows;

\echo The same, where the rows that pass are those furthest from the query
SELECT rows AS "rows that pass", plan AS "the planner takes", ms, engramk AS "engramk, ms",
    without AS "without it, ms", ratio AS "to the best"
FROM beside WHERE filter = 'far' ORDER BY rows;

\echo A storm of ties: ten neighbours among 60,000 equal vectors
CREATE TABLE equal (id integer, embedding real[]);
INSERT INTO equal SELECT i, ARRAY(SELECT sin(j)::real FROM generate_series(1, 64) AS j) FROM generate_series(1, 60000) AS i;
CREATE INDEX ON equal USING engramk (embedding);
VACUUM ANALYZE equal;
SELECT engram_stat_reset() \g /dev/null
SELECT 'the query is equal, too' AS case, round(ms, 2) AS ms FROM pg_temp.measure(
    'SELECT id FROM equal ORDER BY embedding <=> (SELECT embedding FROM equal LIMIT 1) LIMIT 10');
SELECT reranked / scans AS "rows visited" FROM engram_stat_indexes WHERE relname = 'equal';
SELECT engram_stat_reset() \g /dev/null
SELECT 'the query is another' AS case, round(ms, 2) AS ms FROM pg_temp.measure(
    'SELECT id FROM equal ORDER BY embedding <=> ARRAY(SELECT cos(j)::real FROM generate_series(1, 64) AS j) LIMIT 10');
SELECT reranked / scans AS "rows visited" FROM engram_stat_indexes WHERE relname = 'equal';
