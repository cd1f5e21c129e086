-- How a scan of the index grows: 1,000 to 1,000,000 vectors of 64 dimensions
-- whose variance falls off, as that of embeddings does; ten neighbours.
--
--	test/with-cluster.sh -o jit=off -o shared_buffers=2GB psql -X -q -f bench/curve.sql
\set QUIET on
SET client_min_messages = warning;
SET maintenance_work_mem = '1GB';
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION engramk;
SELECT setseed(0.5) \g /dev/null
CREATE UNLOGGED TABLE million AS
    SELECT i AS id, ARRAY(SELECT ((random() - 0.5) / sqrt(j))::real FROM generate_series(1, 64) AS j WHERE i > 0) AS embedding
    FROM generate_series(1, 1000000) AS i;
CREATE TEMP TABLE figure (vectors integer, build_ms numeric, query_ms numeric, scan_ms numeric, fine bigint, visited bigint, pages bigint);

CREATE PROCEDURE pg_temp.measure(n integer) LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz;
    built numeric;
    explained json;
    times numeric[] := '{}';
    scan numeric;
BEGIN
    EXECUTE format('CREATE UNLOGGED TABLE items AS SELECT * FROM million WHERE id <= %s', n);
    begun := clock_timestamp();
    CREATE INDEX items_engramk ON items USING engramk (embedding);
    built := extract(epoch FROM clock_timestamp() - begun) * 1000;
    ANALYZE items;
    PERFORM engram_stat_reset();
    FOR i IN 1..21 LOOP
        EXECUTE format('EXPLAIN (ANALYZE, FORMAT json) SELECT id FROM items ORDER BY embedding <=> %L LIMIT 10',
                       (SELECT embedding FROM million WHERE id = i * 47)) INTO explained;
        times := times || (explained -> 0 ->> 'Execution Time')::numeric;
    END LOOP;
    SET LOCAL enable_indexscan = off;
    EXECUTE format('EXPLAIN (ANALYZE, FORMAT json) SELECT id FROM items ORDER BY embedding <=> %L LIMIT 10',
                   (SELECT embedding FROM million WHERE id = 47)) INTO explained;
    scan := (explained -> 0 ->> 'Execution Time')::numeric;
    INSERT INTO figure
        SELECT n, round(built), round((SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(times) AS t)::numeric, 2),
            round(scan, 1), s.fine_codes / s.scans, s.reranked / s.scans, i.pages
        FROM engram_stat_indexes AS s, engram_index_info('items_engramk') AS i WHERE s.indexrelname = 'items_engramk';
    DROP TABLE items;
END $$;
SELECT format('CALL pg_temp.measure(%s)', n) FROM unnest(ARRAY[1000, 3000, 10000, 30000, 100000, 300000, 1000000]) AS n \gexec
SELECT vectors, build_ms, query_ms, scan_ms AS "sequential, ms", fine AS "fine codes", visited, pages FROM figure ORDER BY vectors;
