-- Many against many: the kNN join beside LATERAL, by sequential scans and by the
-- exact index, and beside pgvector's LATERAL when it is installed; its growth with
-- the number of queries; and top-k of each group.
--
--	bench/bench_join.sh		(ROWS=100000 DIMS=768 QUERIES=1000 SAMPLE=20)
--
-- LATERAL is asked SAMPLE of the queries, and its figures are for that many;
-- ratios compare times a query.  One session, no parallel workers, no JIT.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS engramk;
SELECT count(*) = 1 AS with_pgvector FROM pg_extension WHERE extname = 'vector' \gset
SELECT setseed(0.5) \g /dev/null

CREATE TABLE centre AS
    SELECT c, array_agg(((random() + random() + random()) - 1.5)::real) AS v
    FROM generate_series(1, 1000) AS c, generate_series(1, :dims) GROUP BY c;
CREATE TABLE items (id bigint, part integer, embedding real[]);
ALTER TABLE items ALTER embedding SET STORAGE PLAIN;
INSERT INTO items
    SELECT i, c, ARRAY(SELECT (x + (random() + random() - 1) * 0.5)::real FROM unnest(v) AS x WHERE i > 0)
    FROM generate_series(1, :rows) AS i JOIN centre ON c = i % 1000 + 1;
VACUUM ANALYZE items;

CREATE FUNCTION pg_temp.ms(statement text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    best numeric := 'Infinity';
    begun timestamptz;
BEGIN
    FOR i IN 1..3 LOOP
        begun := clock_timestamp();
        EXECUTE statement;
        best := least(best, extract(epoch FROM clock_timestamp() - begun) * 1000);
    END LOOP;
    RETURN round(best, 1);
END $$;
CREATE FUNCTION pg_temp.join_ms(n integer) RETURNS numeric LANGUAGE sql AS $$
    SELECT pg_temp.ms(format(
        'SELECT count(*) FROM engram_knn_join(''SELECT id, embedding FROM items WHERE id <= %s'', ''SELECT id, embedding FROM items'', 10)', n));
$$;

CREATE FUNCTION pg_temp.lateral_ms(n integer) RETURNS numeric LANGUAGE sql AS $$
    SELECT pg_temp.ms(format(
        'SELECT count(*) FROM (SELECT * FROM items WHERE id <= %s) AS q, LATERAL (SELECT id FROM items AS t ORDER BY t.embedding <=> q.embedding LIMIT 10) AS n', n)) / n;
$$;

\echo :rows targets of :dims dimensions, k = 10; the best of three, milliseconds
SELECT n AS queries, m AS ms, round(m / n, 3) AS "ms a query"
FROM unnest(ARRAY[1, 10, 100, :queries / 2, :queries]) AS n, LATERAL (SELECT pg_temp.join_ms(n) AS m) AS measured;
SELECT pg_temp.join_ms(:queries) / :queries AS joined, pg_temp.lateral_ms(:sample) AS scanned \gset
CREATE INDEX items_embedding ON items USING engramk (embedding);
SELECT round(:scanned, 2) AS "LATERAL by sequential scans, ms a query", round(indexed, 2) AS "LATERAL by the index, ms a query",
    round(:joined, 3) AS "engram_knn_join, ms a query", round(:scanned / :joined) AS "ratio to scans", round(indexed / :joined, 1) AS "ratio to the index"
FROM (SELECT pg_temp.lateral_ms(:sample) AS indexed) AS measured;
DROP INDEX items_embedding;
\if :with_pgvector
SELECT format('CREATE TABLE items_vector AS SELECT id, embedding::vector(%s) FROM items WHERE false', :dims) \gexec
ALTER TABLE items_vector ALTER embedding SET STORAGE PLAIN;
INSERT INTO items_vector SELECT id, embedding::vector FROM items;
VACUUM ANALYZE items_vector;
WITH figure AS MATERIALIZED (
    SELECT pg_temp.join_ms(:queries) / :queries AS ours,
        pg_temp.ms(format('SELECT count(*) FROM (SELECT * FROM items_vector WHERE id <= %s) AS q, LATERAL (SELECT id FROM items_vector AS t ORDER BY t.embedding <=> q.embedding LIMIT 10) AS n', :sample)) / :sample AS theirs)
SELECT round(theirs, 2) AS "pgvector LATERAL, ms a query", round(ours, 3) AS "engramk, ms a query", round(theirs / ours) AS ratio FROM figure;
\endif
SELECT pg_temp.ms('SELECT part, engram_nearest(id, embedding, (SELECT embedding FROM items WHERE id = 1), 3) FROM items GROUP BY part') AS "top 3 of 1,000 groups",
    pg_temp.ms('SELECT max(embedding <=> (SELECT embedding FROM items WHERE id = 1)) FROM items') AS "every distance once";
