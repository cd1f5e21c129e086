-- Measures one table of bench_index.sh.  Needs the variable efs, pgvector's
-- ef_search values as an array literal.
SET client_min_messages = warning;
SELECT count(*) = 1 AS with_pgvector FROM pg_extension WHERE extname = 'vector' \gset
SELECT array_length(embedding, 1) AS dims FROM queries LIMIT 1 \gset

-- Milliseconds that a statement takes.
CREATE OR REPLACE FUNCTION pg_temp.ms(statement text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - begun) * 1000;
END $$;

CREATE TEMP TABLE figures (what text, engramk double precision, hnsw double precision);
CREATE TEMP TABLE times (number bigint, contestant text, ef integer, ms double precision, ids integer[]);

\set build_engramk 'CREATE INDEX items_engramk ON items USING engramk (embedding)'
INSERT INTO figures (what, engramk) SELECT 'build, ms', pg_temp.ms(:'build_engramk');
INSERT INTO figures (what, engramk) SELECT 'size, MB', pg_relation_size('items_engramk') / 1e6;
\if :with_pgvector
SELECT format('ALTER TABLE queries ADD COLUMN v vector(%s)', :dims) \gexec
UPDATE queries SET v = embedding::vector;
DROP TABLE IF EXISTS items_vector;
SELECT format('CREATE TABLE items_vector AS SELECT id, embedding::vector(%s) FROM items ORDER BY id', :dims) \gexec
VACUUM ANALYZE items_vector;
UPDATE figures SET hnsw = pg_temp.ms('CREATE INDEX items_hnsw ON items_vector USING hnsw (embedding vector_cosine_ops)')
    WHERE what = 'build, ms';
UPDATE figures SET hnsw = pg_relation_size('items_hnsw') / 1e6 WHERE what = 'size, MB';
\endif
VACUUM ANALYZE queries;

-- One query to one contestant: its time, and what it found.
CREATE OR REPLACE PROCEDURE pg_temp.ask(contestant text, ef integer, query bigint) LANGUAGE plpgsql AS $$
DECLARE
    statement text := format(
        'SELECT array_agg(id) FROM (SELECT id FROM %I
         ORDER BY embedding <=> (SELECT %I FROM queries WHERE number = %s) LIMIT 10) AS nearest',
        CASE contestant WHEN 'hnsw' THEN 'items_vector' ELSE 'items' END,
        CASE contestant WHEN 'hnsw' THEN 'v' ELSE 'embedding' END, query);
    begun timestamptz;
    found integer[];
BEGIN
    PERFORM set_config('enable_seqscan', (contestant = 'sequential')::text, true);
    PERFORM set_config('enable_indexscan', (contestant <> 'sequential')::text, true);
    IF ef IS NOT NULL THEN
        PERFORM set_config('hnsw.ef_search', ef::text, true);
    END IF;
    begun := clock_timestamp();
    EXECUTE statement INTO found;
    INSERT INTO times VALUES (query, contestant, ef, extract(epoch FROM clock_timestamp() - begun) * 1000, found);
END $$;

-- The indexes by turns, once to warm up and once to be counted.  Sequential scans,
-- which say what is right, apart from them: they take the caches for themselves.
CREATE TEMP VIEW turn AS
    SELECT contestant, ef, number
    FROM (SELECT 1 AS place, 'engramk' AS contestant, NULL AS ef
          UNION ALL SELECT 2, 'hnsw', ef FROM unnest(:'efs'::integer[]) AS ef WHERE :'with_pgvector'::boolean) AS c,
        queries
    ORDER BY number, place, ef;
SELECT format('CALL pg_temp.ask(%L, %L, %s)', contestant, ef, number) FROM turn \gexec
TRUNCATE times;
SELECT engram_stat_reset() \g /dev/null
SELECT format('CALL pg_temp.ask(%L, %L, %s)', contestant, ef, number) FROM turn \gexec
SELECT format('CALL pg_temp.ask(%L, NULL, %s)', 'sequential', number) FROM queries ORDER BY number \gexec

CREATE TEMP VIEW curve AS
    SELECT t.contestant, t.ef,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY t.ms) AS median,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY t.ms) AS slow,
        avg((SELECT count(*) FROM unnest(t.ids) AS id WHERE id = ANY (s.ids))) / 10 AS recall
    FROM times AS t JOIN times AS s USING (number)
    WHERE s.contestant = 'sequential'
    GROUP BY 1, 2;
INSERT INTO figures (what, engramk)
    SELECT 'fine codes a query', fine_codes::double precision / scans FROM engram_stat_indexes WHERE indexrelname = 'items_engramk'
    UNION ALL
    SELECT 're-ranked a query', reranked::double precision / scans FROM engram_stat_indexes WHERE indexrelname = 'items_engramk'
    UNION ALL
    SELECT 'coordinates of the basis', basis FROM engram_index_info('items_engramk');

INSERT INTO figures (what, engramk)
    SELECT 'insert of 1,000 rows, ms', pg_temp.ms('INSERT INTO items (embedding) SELECT embedding FROM items LIMIT 1000');
\if :with_pgvector
UPDATE figures SET hnsw = pg_temp.ms('INSERT INTO items_vector SELECT id, embedding FROM items_vector LIMIT 1000')
    WHERE what LIKE 'insert%';
\endif

SELECT format('%s rows of %s dimensions, %s queries that are not among them',
    (SELECT count(*) - 1000 FROM items), :dims, (SELECT count(*) FROM queries)) AS "table";
SELECT concat_ws(' ef ', contestant, ef) AS contestant, round(median::numeric, 3) AS "median, ms",
    round(slow::numeric, 3) AS "95 in 100, ms", round(recall, 4) AS "recall at 10",
    round((median / (SELECT median FROM curve WHERE contestant = 'engramk'))::numeric, 3) AS "to engramk"
FROM curve ORDER BY curve.contestant, ef NULLS FIRST;
SELECT what, round(engramk::numeric, 3) AS engramk, round(hnsw::numeric, 3) AS hnsw,
    round((engramk / hnsw)::numeric, 3) AS "engramk/hnsw"
FROM figures;

-- For the chart.
\pset format unaligned
\pset fieldsep '\t'
\pset tuples_only
\o | sed "s|^|$SET, |" >>"$RESULTS"
SELECT format('%s x %s', (SELECT count(*) - 1000 FROM items), :dims), contestant, coalesce(ef, 0), round(median::numeric, 3), round(recall, 4) FROM curve ORDER BY contestant, ef;
\o
