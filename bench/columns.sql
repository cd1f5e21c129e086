-- What filter columns of an index are good for: ten neighbours among the rows of one kind,
-- by an index that has the kind as a column, and by whatever the planner takes without
-- that, by turns; where these rows are scattered among the others, and where they are all
-- far from the query.
--
--	test/with-cluster.sh -o jit=off -o shared_buffers=1GB psql -X -q -f bench/columns.sql
\set QUIET on
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION engramk;
\ir filter_items.sql
CREATE TABLE columns AS TABLE items;
ALTER TABLE columns ALTER embedding SET STORAGE plain;
CREATE INDEX ON items (scattered);
CREATE INDEX ON items (far);
CREATE INDEX ON items USING engramk (embedding);
CREATE INDEX ON columns USING engramk (embedding, scattered);
CREATE INDEX ON columns USING engramk (embedding, far);
VACUUM ANALYZE items;
VACUUM ANALYZE columns;
ANALYZE query;
CHECKPOINT;

CREATE TEMP TABLE figure (filter text, kind integer, source text, ms float8);
CREATE FUNCTION pg_temp.try(filter text, kind integer, query integer, source text, condition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    explained json;
BEGIN
    -- the second time, so that no plan pays for what the one before left in the caches
    FOR turn IN 1..2 LOOP
        EXECUTE format('EXPLAIN (ANALYZE, TIMING off, FORMAT json)
            SELECT id FROM %I WHERE %s ORDER BY embedding <=> (SELECT embedding FROM query WHERE id = %s) LIMIT 10',
            source, condition, query) INTO explained;
    END LOOP;
    INSERT INTO figure VALUES (filter, kind, source, (explained -> 0 ->> 'Execution Time')::float8);
END $$;
SELECT pg_temp.try(filter, kind, query, source, format('%I = %s', filter, kind))
FROM generate_series(1, 3) AS round, unnest('{scattered,far}'::text[]) AS filter, generate_series(4, 18) AS kind,
    generate_series(1, 5) AS query, unnest('{columns,items}'::text[]) AS source
WHERE filter = 'scattered' OR query = 1 \g /dev/null
SELECT pg_temp.try('none', 0, query, source, 'true')
FROM generate_series(1, 9) AS round, generate_series(1, 5) AS query, unnest('{columns,items}'::text[]) AS source \g /dev/null

CREATE TEMP VIEW line AS
    SELECT filter, kind, source, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms FROM figure GROUP BY filter, kind, source;
\echo Ten neighbours without a filter, milliseconds
SELECT source, round(ms::numeric, 2) AS ms FROM line WHERE filter = 'none' ORDER BY source;
\echo Ten neighbours among the rows of one kind of 300,000 x 64, milliseconds
SELECT c.filter, (SELECT count(*) FROM items WHERE CASE c.filter WHEN 'far' THEN far ELSE scattered END = c.kind) AS "rows that pass",
    round(c.ms::numeric, 2) AS "by filter columns", round(i.ms::numeric, 2) AS "best without", round((c.ms / i.ms)::numeric, 2) AS ratio
FROM line AS c JOIN line AS i USING (filter, kind)
WHERE c.source = 'columns' AND i.source = 'items' AND filter <> 'none' ORDER BY 1 DESC, 2;
\echo What a filter column takes of an index, bytes an entry
SELECT round((pg_relation_size('columns_embedding_far_idx') - pg_relation_size('items_embedding_idx')) / 300000.0, 1) AS bytes;
