-- Which plan the planner takes for ten neighbours under a filter, by how many
-- rows pass it, and what each plan takes; and what a storm of ties costs.
--
--	test/with-cluster.sh -o jit=off psql -X -q -f bench/filters.sql
\set QUIET on
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION engramk;
SELECT setseed(0.5) \g /dev/null
CREATE TABLE items (id integer, tenant integer, embedding real[]);
-- Tenant t has about 2^t rows; variance falls off with the dimension.
INSERT INTO items
    SELECT i, floor(log(2, 1 + (i * 7919) % 100003))::integer,
        ARRAY(SELECT ((random() - 0.5) / j)::real FROM generate_series(1, 64) AS j WHERE i > 0)
    FROM generate_series(1, 100000) AS i;
CREATE INDEX ON items (tenant);
CREATE INDEX ON items USING engramk (embedding);
VACUUM ANALYZE items;

CREATE FUNCTION pg_temp.measure(statement text, OUT plan text, OUT ms numeric) LANGUAGE plpgsql AS $$
DECLARE
    explained json;
BEGIN
    FOR i IN 1..3 LOOP
        EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || statement INTO explained;
    END LOOP;
    plan := CASE WHEN explained::text LIKE '%"Index Scan"%embedding <=>%' AND explained::text NOT LIKE '%"Sort"%' THEN 'engramk'
                 WHEN explained::text LIKE '%Bitmap%' OR explained::text LIKE '%items_tenant_idx%' THEN 'tenant and sort'
                 ELSE 'sequential and sort' END;
    ms := round((explained -> 0 ->> 'Execution Time')::numeric, 2);
END $$;

CREATE TEMP TABLE figure (tenant integer, rows bigint, setting text, plan text, ms numeric);
CREATE FUNCTION pg_temp.try(setting text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO figure
        SELECT t.tenant, t.rows, setting, m.plan, m.ms
        FROM (SELECT tenant, count(*) AS rows FROM items GROUP BY tenant HAVING count(*) >= 10) AS t,
            LATERAL pg_temp.measure(format(
                'SELECT id FROM items WHERE tenant = %s ORDER BY embedding <=> (SELECT embedding FROM items WHERE id = 4711) LIMIT 10',
                t.tenant)) AS m;
$$;
SELECT pg_temp.try('free') \g /dev/null
SET enable_bitmapscan = off; SET enable_seqscan = off; SET enable_sort = off;
SELECT pg_temp.try('engramk') \g /dev/null
RESET ALL;
SET max_parallel_workers_per_gather = 0;
BEGIN;
DROP INDEX items_embedding_idx;
SELECT pg_temp.try('without') \g /dev/null
CREATE TEMP TABLE kept AS SELECT * FROM figure;
COMMIT;

\echo Ten neighbours among the rows of one tenant, of 100,000 rows x 64
SELECT f.rows AS "rows that pass", f.plan AS "the planner takes", f.ms,
    e.ms AS "engramk, ms", w.ms AS "without it, ms"
FROM figure AS f
    LEFT JOIN figure AS e ON e.tenant = f.tenant AND e.setting = 'engramk' AND e.plan = 'engramk'
    LEFT JOIN figure AS w ON w.tenant = f.tenant AND w.setting = 'without'
WHERE f.setting = 'free' ORDER BY f.rows;

\echo A storm of ties: ten neighbours among 60,000 equal vectors
CREATE TABLE equal (id integer, embedding real[]);
INSERT INTO equal SELECT i, ARRAY(SELECT sin(j)::real FROM generate_series(1, 64) AS j) FROM generate_series(1, 60000) AS i;
CREATE INDEX ON equal USING engramk (embedding);
VACUUM ANALYZE equal;
SELECT engram_stat_reset() \g /dev/null
SELECT 'the query is equal, too' AS case, ms FROM pg_temp.measure(
    'SELECT id FROM equal ORDER BY embedding <=> (SELECT embedding FROM equal LIMIT 1) LIMIT 10');
SELECT reranked / scans AS "rows visited" FROM engram_stat_indexes WHERE relname = 'equal';
SELECT engram_stat_reset() \g /dev/null
SELECT 'the query is another' AS case, ms FROM pg_temp.measure(
    'SELECT id FROM equal ORDER BY embedding <=> ARRAY(SELECT cos(j)::real FROM generate_series(1, 64) AS j) LIMIT 10');
SELECT reranked / scans AS "rows visited" FROM engram_stat_indexes WHERE relname = 'equal';
