-- Measures what bench_columns.sh says.  Needs the variables dims and results.
SET client_min_messages = warning;
SELECT count(*) = 1 AS with_pgvector FROM pg_extension WHERE extname = 'vector' \gset

-- Of kind 1 are ten rows, of kind 2 a hundred, and so on; the last kind is the rest.
CREATE FUNCTION pg_temp.kind_of(number bigint) RETURNS integer LANGUAGE sql AS
    $$SELECT 1 + width_bucket(number, ARRAY[11, 111, 1111, 11111, 111111, 611111]::bigint[])$$;
-- What is asked is near the first vector; another topic is around the one that is farthest from it.
CREATE TABLE other AS
    SELECT embedding FROM asked ORDER BY embedding <=> (SELECT embedding FROM asked WHERE id = 1) DESC LIMIT 1;
CREATE TABLE items AS
    SELECT id, pg_temp.kind_of(row_number() OVER (ORDER BY hashint4(id), id)) AS scattered,
        pg_temp.kind_of(id) AS beside,
        pg_temp.kind_of(row_number() OVER (ORDER BY embedding <=> (SELECT embedding FROM other), id)) AS topic,
        pg_temp.kind_of(row_number() OVER (ORDER BY embedding <=> (SELECT embedding FROM asked WHERE id = 1) DESC, id)) AS far,
        embedding
    FROM loaded;
DROP TABLE loaded;
ALTER TABLE items ALTER embedding SET STORAGE plain;
CREATE TABLE items_again (LIKE items INCLUDING STORAGE);
INSERT INTO items_again SELECT * FROM items ORDER BY id;
TRUNCATE items;
INSERT INTO items SELECT * FROM items_again ORDER BY id;
-- Queries, and some that are near the one that rows are far from.
CREATE TABLE queries AS
    SELECT place, id, CASE WHEN place IN ('topic', 'far') THEN ARRAY(SELECT (c + 0.3 * x)::real FROM unnest(near.embedding, asked.embedding) AS e (c, x))
                           ELSE asked.embedding END AS embedding
    FROM unnest('{scattered,beside,topic,far}'::text[]) AS place, asked, (SELECT embedding FROM asked WHERE id = 1) AS near
    WHERE asked.id > 1;

CREATE INDEX ON items (scattered);
CREATE INDEX ON items (beside);
CREATE INDEX ON items (topic);
CREATE INDEX ON items (far);
CREATE INDEX ON items_again (scattered);
CREATE INDEX ON items_again (beside);
CREATE INDEX ON items_again (topic);
CREATE INDEX ON items_again (far);
CREATE INDEX items_without ON items USING engramk (embedding);
CREATE INDEX items_columns ON items_again USING engramk (embedding, scattered);
CREATE INDEX ON items_again USING engramk (embedding, beside);
CREATE INDEX ON items_again USING engramk (embedding, topic);
CREATE INDEX ON items_again USING engramk (embedding, far);
VACUUM ANALYZE items;
VACUUM ANALYZE items_again;
\if :with_pgvector
SELECT format('CREATE TABLE items_vector AS SELECT id, scattered, beside, topic, far, embedding::vector(%s) FROM items ORDER BY id', :dims) \gexec
ALTER TABLE items_vector ALTER embedding SET STORAGE plain;
CREATE TABLE items_vector_again (LIKE items_vector INCLUDING STORAGE);
INSERT INTO items_vector_again SELECT * FROM items_vector ORDER BY id;
CREATE INDEX items_hnsw ON items_vector USING hnsw (embedding vector_cosine_ops);
CREATE EXTENSION engramk_pgvector;
SELECT format('CREATE INDEX ON items_vector_again (%I)', place), format('CREATE INDEX ON items_vector_again USING engramk (embedding vector_cosine_ops, %I)', place)
FROM unnest('{scattered,beside,topic,far}'::text[]) AS place \gexec
VACUUM ANALYZE items_vector;
VACUUM ANALYZE items_vector_again;
\endif
CHECKPOINT;

CREATE TEMP TABLE figure (place text, kind integer, query integer, contestant text, ms float8, ids integer[]);
-- One query to one contestant; of kind 0, all rows pass.
CREATE PROCEDURE pg_temp.ask(place text, kind integer, query integer, contestant text, counted boolean) LANGUAGE plpgsql AS $$
DECLARE
    is_hnsw boolean := contestant LIKE 'hnsw%';
    statement text := format('SELECT array_agg(id) FROM (SELECT id FROM %I %s ORDER BY embedding <=> $1%s LIMIT 10) AS nearest',
        CASE WHEN is_hnsw THEN 'items_vector' WHEN contestant = 'columns' THEN 'items_again' WHEN contestant = 'columns of vector' THEN 'items_vector_again' ELSE 'items' END,
        CASE WHEN kind > 0 THEN format('WHERE %I = %s', place, kind) END, CASE WHEN is_hnsw OR contestant = 'columns of vector' THEN '::vector' END);
    embedding real[] := (SELECT q.embedding FROM queries AS q WHERE q.place = ask.place AND q.id = query);
    begun timestamptz;
    found integer[];
BEGIN
    PERFORM set_config('enable_seqscan', (NOT is_hnsw)::text, true),
        set_config('enable_indexscan', (contestant <> 'sorted')::text, true);
    IF is_hnsw THEN
        PERFORM set_config('hnsw.iterative_scan', substr(contestant, 6), true);
    END IF;
    begun := clock_timestamp();
    EXECUTE statement INTO found USING embedding;
    IF counted THEN
        INSERT INTO figure VALUES (place, kind, query, contestant, extract(epoch FROM clock_timestamp() - begun) * 1000, found);
    END IF;
END $$;

CREATE TEMP VIEW contestant AS
    SELECT name FROM unnest('{columns,columns of vector,without,sorted,hnsw strict_order,hnsw relaxed_order}'::text[]) AS name
    WHERE :'with_pgvector'::boolean OR name NOT IN ('columns of vector', 'hnsw strict_order', 'hnsw relaxed_order');
-- Twice, so that nobody pays for what another left in the caches.
SELECT format('CALL pg_temp.ask(%L, %s, %s, %L, %L)', place, kind, q.id, name, round = 2)
FROM queries AS q, generate_series(0, 6) AS kind, contestant, generate_series(1, 2) AS round
ORDER BY place, kind, q.id, name, round \gexec

-- A row is right if it is one of those that the index with columns found, which are exact.
CREATE TEMP TABLE line AS
    SELECT f.place, f.kind, f.contestant, percentile_cont(0.5) WITHIN GROUP (ORDER BY f.ms) AS ms,
        avg(cardinality(ARRAY(SELECT unnest(f.ids) INTERSECT SELECT unnest(c.ids)))::float8 / cardinality(c.ids)) AS recall,
        avg(coalesce(cardinality(f.ids), 0)) AS returned
    FROM figure AS f JOIN figure AS c USING (place, kind, query)
    WHERE c.contestant = 'columns'
    GROUP BY f.place, f.kind, f.contestant;
CREATE TEMP VIEW passing AS
    SELECT 'scattered' AS place, scattered AS kind, count(*) AS rows FROM items GROUP BY 2
    UNION ALL SELECT 'beside', beside, count(*) FROM items GROUP BY 2
    UNION ALL SELECT 'topic', topic, count(*) FROM items GROUP BY 2
    UNION ALL SELECT 'far', far, count(*) FROM items GROUP BY 2
    UNION ALL SELECT place, 0, count(*) FROM items, unnest('{scattered,beside,topic,far}'::text[]) AS place GROUP BY 1;

\echo Ten neighbours of those that pass: medians, milliseconds; recall and rows returned of HNSW
SELECT place, rows, round(columns::numeric, 2) AS columns, round((of_vector / columns)::numeric, 2) AS "of vector, ratio", round(without::numeric, 2) AS "best without", round(sorted::numeric, 1) AS "bitmap and sort",
    round((columns / without)::numeric, 2) AS ratio, round((columns / unfiltered)::numeric, 2) AS "to unfiltered", strict, relaxed
FROM (SELECT place, rows, min(ms) FILTER (WHERE contestant = 'columns') AS columns, min(ms) FILTER (WHERE contestant = 'without') AS without,
          min(ms) FILTER (WHERE contestant = 'sorted') AS sorted, min(ms) FILTER (WHERE contestant = 'columns of vector') AS of_vector,
          (SELECT ms FROM line AS u WHERE u.place = line.place AND u.kind = 0 AND u.contestant = 'columns') AS unfiltered,
          min(format('%s (%s, %s)', round(ms::numeric, 2), round(recall::numeric, 2), round(returned, 1))) FILTER (WHERE contestant = 'hnsw strict_order') AS strict,
          min(format('%s (%s, %s)', round(ms::numeric, 2), round(recall::numeric, 2), round(returned, 1))) FILTER (WHERE contestant = 'hnsw relaxed_order') AS relaxed
      FROM line JOIN passing USING (place, kind) GROUP BY place, rows, kind) AS figures
ORDER BY array_position('{scattered,beside,topic,far}', place), rows;
\echo What a filter column takes of an index, bytes an entry
SELECT round((pg_relation_size('items_columns') - pg_relation_size('items_without'))::numeric / count(*), 1) AS bytes FROM items;
\pset format unaligned
\pset fieldsep '\t'
\pset tuples_only on
\o :results
SELECT place, rows, contestant, ms, recall, returned FROM line JOIN passing USING (place, kind) ORDER BY place DESC, contestant, rows;
\o
