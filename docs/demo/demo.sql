-- What docs/demo/demo.sh runs; the words come from standard input.

SET client_min_messages = warning;
SET work_mem = '256MB';
CREATE EXTENSION IF NOT EXISTS engramk;

\echo
\echo '1. Ordinary columns'
\echo '-------------------'
\echo '10,000 English words, each with a vector of 100 numbers, in a real[] column.'
\echo
\set ECHO queries
CREATE TEMP TABLE words (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    word      text PRIMARY KEY,
    embedding real[] NOT NULL CHECK (engram_is_valid(embedding))
);
ALTER TABLE words ALTER embedding SET STATISTICS 0;
\set ECHO none
\copy words (word, embedding) from pstdin
ANALYZE words;

\echo
\echo '2. Nearest rows'
\echo '---------------'
\echo
\set ECHO queries
SELECT word, embedding <=> (SELECT embedding FROM words WHERE word = 'river') AS distance
FROM words
WHERE word <> 'river'
ORDER BY distance
LIMIT 5;

SELECT q.word, string_agg(n.word, ', ' ORDER BY n.distance) AS nearest
FROM words q,
     LATERAL (SELECT w.word, w.embedding <=> q.embedding AS distance
              FROM words w
              WHERE w.word <> q.word
              ORDER BY distance
              LIMIT 6) n
WHERE q.word IN ('king', 'music', 'computer', 'bread')
GROUP BY q.word;
\set ECHO none

\echo
\echo '3. An exact index'
\echo '-----------------'
\echo 'The same rows and distances, without a look at every vector, and nothing to tune.'
\echo
\set ECHO queries
CREATE INDEX words_embedding ON words USING engramk (embedding);

EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
SELECT word, embedding <=> (SELECT embedding FROM words WHERE word = 'river') AS distance
FROM words
ORDER BY distance
LIMIT 5;
\set ECHO none

\echo 'The ten nearest of 100 words, by the index and by sequential scans: do the distances differ?'
\echo
\set ECHO queries
CREATE TEMP TABLE by_index AS
SELECT q.word, n.rank, n.distance
FROM (SELECT * FROM words ORDER BY word LIMIT 100) q,
     LATERAL (SELECT row_number() OVER () AS rank, d.distance
              FROM (SELECT w.embedding <=> q.embedding AS distance FROM words w ORDER BY distance LIMIT 10) d) n;

SET enable_indexscan = off;

CREATE TEMP TABLE by_scan AS
SELECT q.word, n.rank, n.distance
FROM (SELECT * FROM words ORDER BY word LIMIT 100) q,
     LATERAL (SELECT row_number() OVER () AS rank, d.distance
              FROM (SELECT w.embedding <=> q.embedding AS distance FROM words w ORDER BY distance LIMIT 10) d) n;

RESET enable_indexscan;

SELECT count(*) AS distances, count(*) FILTER (WHERE i.distance <> s.distance) AS different
FROM by_index i JOIN by_scan s USING (word, rank);

SELECT dimensions, vectors, basis, pages FROM engram_index_info('words_embedding');

SELECT scans, coarse_codes / scans AS coarse_codes_a_scan, fine_codes / scans AS fine_codes_a_scan,
       reranked / scans AS rows_a_scan
FROM engram_stat_indexes WHERE indexrelname = 'words_embedding';
\set ECHO none

\echo
\echo '4. All neighbours at once'
\echo '-------------------------'
\echo 'The nearest word of each of the 10,000, which are 100 million pairs.  The closest pairs:'
\echo
\set ECHO queries
CREATE TEMP TABLE pairs AS
SELECT query_id, target_id, distance
FROM engram_knn_join('SELECT id, embedding FROM words', 'SELECT id, embedding FROM words', 1,
                     exclude_self => true);

SELECT a.word, b.word AS nearest, round(distance::numeric, 4) AS distance
FROM pairs p JOIN words a ON a.id = p.query_id JOIN words b ON b.id = p.target_id
WHERE a.id < b.id
ORDER BY p.distance
LIMIT 5;
\set ECHO none

\echo
\echo '5. Fast, and the same bits'
\echo '--------------------------'
\echo 'engramk computes with the best instructions this CPU has:'
\echo
\set ECHO queries
SELECT * FROM engram_simd_info();
\set ECHO none
\echo 'One statement goes back to portable code.  The results are the same bits.'
\echo 'Half a million distances (50 words to all 10,000), once each way:'
\echo
\set ECHO queries
CREATE TEMP TABLE with_simd AS
SELECT q.word AS a, w.word AS b, float8send(q.embedding <=> w.embedding) AS bits
FROM (SELECT * FROM words ORDER BY word LIMIT 50) q, words w;

SET engramk.simd = off;

CREATE TEMP TABLE without_simd AS
SELECT q.word AS a, w.word AS b, float8send(q.embedding <=> w.embedding) AS bits
FROM (SELECT * FROM words ORDER BY word LIMIT 50) q, words w;

SELECT * FROM engram_simd_info() WHERE active;

RESET engramk.simd;

SELECT (SELECT count(*) FROM with_simd) AS rows_with,
       (SELECT count(*) FROM without_simd) AS rows_without,
       (SELECT count(*) FROM (TABLE with_simd EXCEPT TABLE without_simd) x) AS only_with,
       (SELECT count(*) FROM (TABLE without_simd EXCEPT TABLE with_simd) x) AS only_without;
\set ECHO none

CREATE FUNCTION pg_temp.milliseconds(simd text, query text, rounds integer) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    best  interval := '1 hour';
BEGIN
    PERFORM set_config('engramk.simd', simd, true);
    FOR round IN 1 .. rounds LOOP
        began := clock_timestamp();
        EXECUTE query;
        best := least(best, clock_timestamp() - began);
    END LOOP;
    RETURN round(extract(epoch FROM best)::numeric * 1000, 1);
END
$$;

\echo 'The time of both (the best of three), for a million similarities:'
\echo
WITH work (ordinal, work, query) AS (VALUES
    (1, 'operator, row by row',
     'SELECT sum(q.embedding <=> w.embedding)
      FROM (SELECT * FROM words ORDER BY word LIMIT 100) q, words w'),
    (2, 'engram_cosine_batch, 100 queries x 10,000',
     'SELECT sum(cardinality(engram_cosine_batch(embedding, (SELECT array_agg(embedding) FROM words))))
      FROM (SELECT * FROM words ORDER BY word LIMIT 100) q'))
SELECT work,
       pg_temp.milliseconds('on', query, 3) AS "simd on, ms",
       pg_temp.milliseconds('off', query, 3) AS "simd off, ms"
FROM work
ORDER BY ordinal;

\echo 'The ten nearest of many words, milliseconds for a word:'
\echo
SET enable_indexscan = off;
SELECT pg_temp.milliseconds('on', 'SELECT count(*) FROM (SELECT * FROM words ORDER BY word LIMIT 100) q,
    LATERAL (SELECT FROM words w ORDER BY w.embedding <=> q.embedding LIMIT 10) n', 1) / 100 AS scanned \gset
RESET enable_indexscan;
SELECT round(:scanned, 3) AS "LATERAL, sequential scans",
    round(pg_temp.milliseconds('on', 'SELECT count(*) FROM (SELECT * FROM words ORDER BY word LIMIT 1000) q,
        LATERAL (SELECT FROM words w ORDER BY w.embedding <=> q.embedding LIMIT 10) n', 1) / 1000, 3) AS "LATERAL, the index",
    round(pg_temp.milliseconds('on', 'SELECT count(*) FROM engram_knn_join(''SELECT id, embedding FROM words'',
        ''SELECT id, embedding FROM words'', 10)', 1) / 10000, 3) AS "engram_knn_join";

\echo
\echo '6. Many candidates in one call'
\echo '------------------------------'
\echo 'Candidates that another search found, ranked again:'
\echo
\set ECHO queries
WITH found AS (
    SELECT array_agg(word) AS word, array_agg(embedding) AS embedding
    FROM words
    WHERE word IN ('guitar', 'wolf', 'piano', 'copper', 'dance', 'orchestra', 'seven')
)
SELECT found.word[best.ordinal], best.similarity
FROM found,
     engram_topk((SELECT embedding FROM words WHERE word = 'music'), found.embedding, 4) best;
\set ECHO none

\echo 'Scratch memory that this session used (bytes); an overflow would show here:'
\echo
\set ECHO queries
SELECT * FROM engram_arena_stats();
\set ECHO none

\echo
\echo '7. Where to go next'
\echo '-------------------'
\echo 'README.md               queries people write, installing, limits'
\echo 'docs/exact-index.md     the index: how it works, why it is right, what it costs'
\echo 'docs/reference.md       every function, operator, parameter and error'
\echo 'docs/performance.md     what it costs, and how that was measured'
\echo 'docs/architecture.md    how it works inside'
\echo 'make test               see it proven'
\echo
