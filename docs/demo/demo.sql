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
    word      text PRIMARY KEY,
    embedding real[] NOT NULL CHECK (engram_is_valid(embedding))
);
\set ECHO none
\copy words from pstdin
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
\echo '3. Fast, and the same bits'
\echo '--------------------------'
\echo 'engramk computes with the best instructions this CPU has:'
\echo
\set ECHO queries
SELECT * FROM engram_simd_info();
\set ECHO none
\echo 'One statement goes back to portable code.  The results are the same bits.'
\echo 'A million distances (100 words to all 10,000), once each way:'
\echo
\set ECHO queries
CREATE TEMP TABLE with_simd AS
SELECT q.word AS a, w.word AS b, float8send(q.embedding <=> w.embedding) AS bits
FROM (SELECT * FROM words ORDER BY word LIMIT 100) q, words w;

SET engramk.simd = off;

CREATE TEMP TABLE without_simd AS
SELECT q.word AS a, w.word AS b, float8send(q.embedding <=> w.embedding) AS bits
FROM (SELECT * FROM words ORDER BY word LIMIT 100) q, words w;

SELECT * FROM engram_simd_info() WHERE active;

RESET engramk.simd;

SELECT (SELECT count(*) FROM with_simd) AS rows_with,
       (SELECT count(*) FROM without_simd) AS rows_without,
       (SELECT count(*) FROM (TABLE with_simd EXCEPT TABLE without_simd) x) AS only_with,
       (SELECT count(*) FROM (TABLE without_simd EXCEPT TABLE with_simd) x) AS only_without;
\set ECHO none

CREATE FUNCTION pg_temp.milliseconds(simd text, query text) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    best  interval := '1 hour';
BEGIN
    PERFORM set_config('engramk.simd', simd, true);
    FOR round IN 1 .. 3 LOOP
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
       pg_temp.milliseconds('on', query) AS "simd on, ms",
       pg_temp.milliseconds('off', query) AS "simd off, ms"
FROM work
ORDER BY ordinal;

\echo
\echo '4. Many candidates in one call'
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
\echo '5. Where to go next'
\echo '-------------------'
\echo 'README.md               queries people write, installing, limits'
\echo 'docs/reference.md       every function, operator, parameter and error'
\echo 'docs/performance.md     what it costs, and how that was measured'
\echo 'docs/architecture.md    how it works inside'
\echo 'make test               see it proven'
\echo
