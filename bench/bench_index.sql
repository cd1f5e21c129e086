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

CREATE TEMP TABLE figures (n serial, contestant text, what text, value double precision);
CREATE TEMP TABLE times (number bigint, contestant text, ef integer, by_index boolean, ms double precision, ids integer[]);

-- Each on a table of its own, so that the planner has no choice.
CREATE TEMP TABLE contestant (place integer, name text, type text, statement text);
INSERT INTO contestant VALUES (1, 'engramk', 'real', 'CREATE INDEX ON %I USING engramk (embedding)');
\if :with_pgvector
CREATE EXTENSION IF NOT EXISTS engramk_pgvector;
INSERT INTO contestant VALUES (2, 'engramk, vector', 'vector', 'CREATE INDEX ON %I USING engramk (embedding vector_cosine_ops)'),
    (3, 'engramk, halfvec', 'halfvec', 'CREATE INDEX ON %I USING engramk (embedding halfvec_cosine_ops)'),
    (4, 'hnsw', 'vector', 'CREATE INDEX ON %I USING hnsw (embedding vector_cosine_ops)');
\endif

SELECT format('CREATE TABLE %I AS SELECT id, embedding::%s AS embedding FROM items ORDER BY id', name,
    CASE type WHEN 'real' THEN 'real[]' ELSE format('%s(%s)', type, :'dims') END)
FROM contestant ORDER BY place \gexec
SELECT format('ALTER TABLE queries ADD COLUMN %I %s; UPDATE queries SET %1$I = embedding::%2$s', 'q_' || type,
    CASE type WHEN 'real' THEN 'real[]' ELSE format('%s(%s)', type, :'dims') END)
FROM (SELECT DISTINCT type FROM contestant) AS t \gexec
SELECT format('VACUUM ANALYZE %I', name) FROM contestant ORDER BY place \gexec
VACUUM ANALYZE queries;
SELECT format('INSERT INTO figures (contestant, what, value) SELECT %L, ''build, ms'', pg_temp.ms(%L)', name, format(statement, name))
FROM contestant ORDER BY place \gexec
INSERT INTO figures (contestant, what, value)
SELECT name, 'size, MB', pg_relation_size(indexrelid) / 1e6
FROM contestant JOIN pg_index ON indrelid = quote_ident(name)::regclass;

-- One query to one contestant: its time, and what it found.
CREATE OR REPLACE PROCEDURE pg_temp.ask(contestant text, ef integer, query bigint, by_index boolean) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    begun timestamptz;
    found integer[];
BEGIN
    SELECT format('SELECT array_agg(id) FROM (SELECT id FROM %I
        ORDER BY embedding <=> (SELECT %I FROM queries WHERE number = %s) LIMIT 10) AS nearest', name, 'q_' || type, query)
        INTO statement FROM contestant AS c WHERE name = contestant;
    PERFORM set_config('enable_seqscan', (NOT by_index)::text, true);
    PERFORM set_config('enable_indexscan', by_index::text, true);
    IF ef IS NOT NULL THEN
        PERFORM set_config('hnsw.ef_search', ef::text, true);
    END IF;
    begun := clock_timestamp();
    EXECUTE statement INTO found;
    INSERT INTO times VALUES (query, contestant, ef, by_index, extract(epoch FROM clock_timestamp() - begun) * 1000, found);
END $$;

-- The indexes by turns, each of them first for a while, once to warm up and once to be counted.
-- Sequential scans,
-- which say what is right, apart from them: they take the caches for themselves.
CREATE TEMP VIEW turn AS
    SELECT name, ef, number
    FROM contestant LEFT JOIN unnest(:'efs'::integer[]) AS ef ON name = 'hnsw', queries
    ORDER BY number, (place + number) % 4, ef;
SELECT format('CALL pg_temp.ask(%L, %L, %s, true)', name, ef, number) FROM turn \gexec
TRUNCATE times;
SELECT engram_stat_reset() \g /dev/null
SELECT format('CALL pg_temp.ask(%L, %L, %s, true)', name, ef, number) FROM turn \gexec
SELECT format('CALL pg_temp.ask(%L, NULL, %s, false)', name, number) FROM contestant, queries ORDER BY number \gexec

CREATE TEMP VIEW curve AS
    SELECT t.contestant, t.ef, t.by_index,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY t.ms) AS median,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY t.ms) AS slow,
        avg((SELECT count(*) FROM unnest(t.ids) AS id WHERE id = ANY (s.ids))) / 10 AS recall
    FROM times AS t JOIN times AS s USING (number, contestant)
    WHERE NOT s.by_index
    GROUP BY 1, 2, 3;
INSERT INTO figures (contestant, what, value)
    SELECT relname, 'fine codes a query', fine_codes::double precision / scans FROM engram_stat_indexes WHERE scans > 0
    UNION ALL
    SELECT relname, 're-ranked a query', reranked::double precision / scans FROM engram_stat_indexes WHERE scans > 0
    UNION ALL
    SELECT relname, 'coordinates of the basis', basis FROM engram_stat_indexes, engram_index_info(indexrelid) WHERE scans > 0;
SELECT format('INSERT INTO figures (contestant, what, value) SELECT %L, ''insert of 1,000 rows, ms'', pg_temp.ms(%L)', name,
    format('INSERT INTO %I SELECT id, embedding FROM %1$I LIMIT 1000', name))
FROM contestant ORDER BY place \gexec

SELECT format('%s rows of %s dimensions, %s queries that are not among them',
    (SELECT count(*) FROM items), :dims, (SELECT count(*) FROM queries)) AS "table";
SELECT concat_ws(' ef ', CASE WHEN by_index THEN contestant ELSE 'sequential, ' || type END, ef) AS contestant,
    round(median::numeric, 3) AS "median, ms",
    round(slow::numeric, 3) AS "95 in 100, ms", round(recall, 4) AS "recall at 10",
    round((median / (SELECT median FROM curve WHERE contestant = 'engramk' AND by_index))::numeric, 3) AS "to engramk"
FROM curve JOIN contestant AS c ON name = contestant
WHERE by_index OR name <> 'hnsw'
ORDER BY by_index DESC, place, ef NULLS FIRST;
SELECT what, round((min(value) FILTER (WHERE contestant = 'engramk'))::numeric, 3) AS engramk,
    round((min(value) FILTER (WHERE contestant = 'engramk, vector'))::numeric, 3) AS "engramk, vector",
    round((min(value) FILTER (WHERE contestant = 'engramk, halfvec'))::numeric, 3) AS "engramk, halfvec",
    round((min(value) FILTER (WHERE contestant = 'hnsw'))::numeric, 3) AS hnsw
FROM figures GROUP BY what ORDER BY min(n);
SELECT format('DROP TABLE %I', name) FROM contestant \gexec

-- For the chart.
\pset format unaligned
\pset fieldsep '\t'
\pset tuples_only
\o | sed "s|^|$SET, |" >>"$RESULTS"
SELECT format('%s x %s', (SELECT count(*) FROM items), :dims), contestant, coalesce(ef, 0), round(median::numeric, 3), round(recall, 4)
FROM curve WHERE by_index ORDER BY contestant, ef;
\o
