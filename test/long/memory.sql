-- Memory stays flat over tens of millions of calls with rescans and over a
-- million errors that are caught.  Takes minutes; prints the growth of each
-- part and fails if one reaches 1 MB.
--
--	psql -X -v ON_ERROR_STOP=1 -f test/long/memory.sql
--
-- Looked at while the statement is still open, because what it leaks goes when
-- it ends.  The shorter version is test/sql/memory.sql.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS engramk;
DROP SCHEMA IF EXISTS memory_long CASCADE;
CREATE SCHEMA memory_long;
SET search_path = memory_long, public;

CREATE FUNCTION backend_memory() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts
$$;

-- Runs a first part of the statement, then the rest.
CREATE FUNCTION growth(what text, statement text, expected_rows bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    c refcursor;
    before bigint;
    grown bigint;
    moved bigint;
BEGIN
    OPEN c FOR EXECUTE statement;
    MOVE FORWARD 100000 IN c;
    before := backend_memory();
    MOVE FORWARD ALL IN c;
    GET DIAGNOSTICS moved = ROW_COUNT;
    grown := backend_memory() - before;
    CLOSE c;
    IF moved + 100000 <> expected_rows THEN
        RAISE EXCEPTION '%: % rows instead of %', what, moved + 100000, expected_rows;
    END IF;
    IF grown >= 1024 * 1024 THEN
        RAISE EXCEPTION '%: memory grew by % bytes', what, grown;
    END IF;
    RETURN format('%s: %s calls, memory grew by %s bytes', what, expected_rows, grown);
END $$;

CREATE TABLE query AS SELECT i AS id, ARRAY[i, 1, -2, i % 7]::real[] AS v FROM generate_series(1, 10000) AS i;
CREATE TABLE candidate AS SELECT i AS id, ARRAY[1, i % 11, i, -1]::real[] AS v FROM generate_series(1, 1000) AS i;
CREATE TABLE long_query AS SELECT i AS id, array_fill(i::real, ARRAY[3000]) AS v FROM generate_series(1, 20) AS i;
CREATE TABLE indexed_candidate AS SELECT i AS id, ARRAY[sin(i), cos(i), sin(i * 3), 1]::real[] AS v FROM generate_series(1, 1000) AS i;
ANALYZE query, candidate, long_query, indexed_candidate;

SELECT growth('LATERAL with rescans',
    'SELECT d FROM query AS q, LATERAL (SELECT q.v <=> c.v AS d FROM candidate AS c OFFSET 0) AS x', 10000000);
SELECT growth('two columns',
    'SELECT q.v <-> c.v FROM query AS q, candidate AS c', 10000000);
SELECT growth('a constant',
    'SELECT ''{1,2,3,4}'' <+> c.v FROM query AS q, candidate AS c', 10000000);
SELECT growth('detoasted candidates and queries',
    'SELECT d FROM generate_series(1, 50000) AS n, LATERAL (SELECT l.v <#> (SELECT v FROM long_query WHERE id = 1 + n % 20) AS d FROM long_query AS l OFFSET 0) AS x', 1000000);
SELECT growth('batches',
    'SELECT engram_cosine_batch(q.v, q.v || q.v || q.v), engram_normalize(q.v) FROM query AS q, generate_series(1, 300)', 3000000);
SELECT growth('top-k with rescans',
    'SELECT t.* FROM query AS q, generate_series(1, 300), LATERAL engram_topk(q.v, q.v || q.v || q.v, 1) AS t', 3000000);
SET engramk.arena_size = '64kB';
SELECT growth('batches that overflow the arena',
    'SELECT engram_cosine_batch(v || v || v, v || v || v) FROM long_query, generate_series(1, 20000)', 400000);
RESET engramk.arena_size;

SELECT growth('groups, each with its own query',
    'SELECT n FROM query AS q, generate_series(1, 20) AS times, LATERAL (SELECT engram_nearest(c.id::bigint, c.v, q.v, 3) AS n FROM candidate AS c WHERE c.id <= 100 AND times > 0 OFFSET 0) AS x', 200000);
SELECT growth('sums and means',
    'SELECT s FROM query AS q, generate_series(1, 20) AS times, LATERAL (SELECT engram_sum(c.v) AS s, engram_avg(c.v) FROM candidate AS c WHERE c.id <= 100 + 0 * q.id AND times > 0 OFFSET 0) AS x', 200000);
SELECT growth('a window that moves',
    'SELECT engram_nearest(i, ARRAY[i % 100, 1]::real[], ''{1,2}'', 3) OVER w, engram_avg(ARRAY[i, 1]::real[]) OVER w FROM generate_series(1::bigint, 1000000) AS i WINDOW w AS (ORDER BY i ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)', 1000000);
SELECT growth('joins',
    $$SELECT n.rank FROM query AS q, generate_series(1, 5) AS times, LATERAL engram_knn_join(
        format('SELECT id, v FROM candidate WHERE id BETWEEN %s AND %1$s + 1', q.id % 900 + times),
        'SELECT id, v FROM candidate WHERE id <= 20', 2) AS n$$, 200000);
CREATE INDEX ON indexed_candidate USING engramk (v);
SET enable_seqscan = off;
SELECT growth('index scans',
    'SELECT c.id FROM query AS q, generate_series(1, 20) AS times, LATERAL (SELECT c.id FROM indexed_candidate AS c WHERE times > 0 ORDER BY c.v <=> q.v LIMIT 5) AS c', 1000000);
RESET enable_seqscan;

CREATE FUNCTION catch(times int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    good real[] := '{1,2,3}';
    one real[];
    result float8;
    errors int := 0;
    before bigint;
    grown bigint;
BEGIN
    FOR i IN 1 .. times LOOP
        IF i = times / 10 THEN
            before := backend_memory();
        END IF;
        one := CASE i % 5 WHEN 0 THEN '{1,2,NaN}'::real[] WHEN 1 THEN '{1,NULL,2}' WHEN 2 THEN '{1,2}' WHEN 3 THEN '{{1},{2}}' ELSE '{}' END;
        BEGIN
            CASE i % 5
                WHEN 0 THEN result := one <=> good;
                WHEN 1 THEN result := good <-> one;
                WHEN 2 THEN result := (engram_cosine_batch(one, good))[1];
                WHEN 3 THEN result := (SELECT max(similarity) FROM engram_topk(one, good, 1));
                ELSE result := (engram_normalize(one))[1];
            END CASE;
        EXCEPTION WHEN data_exception OR null_value_not_allowed OR numeric_value_out_of_range OR array_subscript_error THEN
            errors := errors + 1;
        END;
    END LOOP;
    grown := backend_memory() - before;
    IF errors <> times THEN
        RAISE EXCEPTION '% errors instead of %', errors, times;
    END IF;
    IF grown >= 1024 * 1024 THEN
        RAISE EXCEPTION 'caught errors: memory grew by % bytes', grown;
    END IF;
    RETURN format('caught errors: %s, memory grew by %s bytes', errors, grown);
END $$;
SELECT catch(1000000);

DROP SCHEMA memory_long CASCADE;
