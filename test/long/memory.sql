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
ANALYZE query, candidate, long_query;

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
