-- Measures one table of bench_index.sh.
SET client_min_messages = warning;
SELECT count(*) = 1 AS with_pgvector FROM pg_extension WHERE extname = 'vector' \gset
SELECT array_length(embedding, 1) AS dims FROM items LIMIT 1 \gset

-- Milliseconds that a statement takes.
CREATE OR REPLACE FUNCTION pg_temp.ms(statement text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - begun) * 1000;
END $$;

CREATE TEMP TABLE figures (what text, engramk double precision, hnsw double precision, sequential double precision);
CREATE TEMP TABLE times (contestant text, ms double precision, names text[]);

\set build_engramk 'CREATE INDEX items_engramk ON items USING engramk (embedding)'
INSERT INTO figures (what, engramk) SELECT 'build, ms', pg_temp.ms(:'build_engramk');
INSERT INTO figures (what, engramk) SELECT 'size, MB', pg_relation_size('items_engramk') / 1e6;
\if :with_pgvector
DROP TABLE IF EXISTS items_vector;
SELECT format('CREATE TABLE items_vector AS SELECT name, embedding::vector(%s) FROM items', :dims) \gexec
VACUUM ANALYZE items_vector;
UPDATE figures SET hnsw = pg_temp.ms('CREATE INDEX items_hnsw ON items_vector USING hnsw (embedding vector_cosine_ops)')
    WHERE what = 'build, ms';
UPDATE figures SET hnsw = pg_relation_size('items_hnsw') / 1e6 WHERE what = 'size, MB';
\endif

-- One query to one contestant: time, and the names it found.
CREATE OR REPLACE PROCEDURE pg_temp.ask(contestant text, tbl text, type text, query text) LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('SELECT array_agg(name) FROM (SELECT name FROM %I ORDER BY embedding <=> %L::%s LIMIT 10) AS nearest',
                             tbl, query, type);
    begun timestamptz;
    found text[];
BEGIN
    PERFORM set_config('enable_seqscan', (contestant = 'sequential')::text, true);
    PERFORM set_config('enable_indexscan', (contestant <> 'sequential')::text, true);
    begun := clock_timestamp();
    EXECUTE statement INTO found;
    INSERT INTO times VALUES (contestant, extract(epoch FROM clock_timestamp() - begun) * 1000, found);
END $$;

SELECT engram_stat_reset() \g /dev/null
WITH query AS (
    SELECT row_number() OVER (ORDER BY md5(name)) AS number, embedding FROM items ORDER BY md5(name) LIMIT :queries
), contestant (turn, name, tbl, type) AS (
    VALUES (1, 'engramk', 'items', 'real[]'), (2, 'hnsw', 'items_vector', 'vector'), (3, 'sequential', 'items', 'real[]')
)
SELECT format('CALL pg_temp.ask(%L, %L, %L, %L)', c.name, c.tbl, c.type,
              CASE c.type WHEN 'vector' THEN translate(q.embedding::text, '{}', '[]') ELSE q.embedding::text END)
FROM query AS q, contestant AS c
WHERE c.name <> 'hnsw' OR :'with_pgvector'::boolean
ORDER BY q.number, c.turn \gexec

INSERT INTO figures
    SELECT 'query, ms, median',
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE contestant = 'engramk'),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE contestant = 'hnsw'),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE contestant = 'sequential')
    FROM times;
WITH numbered AS (
    SELECT contestant, names, row_number() OVER (PARTITION BY contestant ORDER BY ctid) AS number FROM times
), found AS (
    SELECT a.contestant,
        avg((SELECT count(*) FROM unnest(a.names) AS n WHERE n = ANY (s.names))) / 10 AS recall
    FROM numbered AS a JOIN numbered AS s USING (number) WHERE s.contestant = 'sequential' GROUP BY 1
)
INSERT INTO figures
    SELECT 'recall of rows, at 10',
        max(recall) FILTER (WHERE contestant = 'engramk'),
        max(recall) FILTER (WHERE contestant = 'hnsw'),
        max(recall) FILTER (WHERE contestant = 'sequential')
    FROM found;
INSERT INTO figures (what, engramk)
    SELECT 'fine codes a query', fine_codes::double precision / scans FROM engram_stat_indexes WHERE indexrelname = 'items_engramk'
    UNION ALL
    SELECT 're-ranked a query', reranked::double precision / scans FROM engram_stat_indexes WHERE indexrelname = 'items_engramk'
    UNION ALL
    SELECT 'coordinates of the basis', basis FROM engram_index_info('items_engramk');

INSERT INTO figures (what, engramk)
    SELECT 'insert of 1,000 rows, ms', pg_temp.ms('INSERT INTO items SELECT name, embedding FROM items LIMIT 1000');
\if :with_pgvector
UPDATE figures SET hnsw = pg_temp.ms('INSERT INTO items_vector SELECT name, embedding FROM items_vector LIMIT 1000')
    WHERE what LIKE 'insert%';
\endif

SELECT format('%s rows of %s dimensions', (SELECT count(*) - 1000 FROM items), :dims) AS "table";
SELECT what, round(engramk::numeric, 3) AS engramk, round(hnsw::numeric, 3) AS hnsw,
    round(sequential::numeric, 3) AS sequential, round((engramk / hnsw)::numeric, 3) AS "engramk/hnsw"
FROM figures;
