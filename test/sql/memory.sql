-- Memory stays flat: over millions of calls within one statement, over
-- rescans, and over errors that are caught.  Looked at while the statement is
-- still open, because what it leaks goes when it ends.
CREATE SCHEMA memory;
SET search_path = memory, public;

-- Opens the statement, runs a first part of it, then the rest, and says by how
-- much this backend grew in between.
CREATE FUNCTION growth(statement text, first_rows int) RETURNS TABLE (rows bigint, under_1_mb boolean)
LANGUAGE plpgsql AS $$
DECLARE
    c refcursor;
    before bigint;
    after bigint;
BEGIN
    OPEN c FOR EXECUTE statement;
    MOVE FORWARD first_rows IN c;
    SELECT sum(total_bytes) INTO before FROM pg_backend_memory_contexts;
    MOVE FORWARD ALL IN c;
    GET DIAGNOSTICS rows = ROW_COUNT;
    SELECT sum(total_bytes) INTO after FROM pg_backend_memory_contexts;
    CLOSE c;
    under_1_mb := after - before < 1024 * 1024;
    RETURN NEXT;
END $$;

CREATE TABLE query AS SELECT i AS id, ARRAY[i, 1, -2, i % 7]::real[] AS v FROM generate_series(1, 2000) AS i;
CREATE TABLE candidate AS SELECT i AS id, ARRAY[1, i % 11, i, -1]::real[] AS v FROM generate_series(1, 1000) AS i;
CREATE TABLE long_query AS SELECT i AS id, array_fill(i::real, ARRAY[3000]) AS v FROM generate_series(1, 20) AS i;
CREATE TABLE same_query AS SELECT array_fill(1::real, ARRAY[3000]) AS v FROM generate_series(1, 2);
ALTER TABLE same_query ALTER v SET STORAGE EXTERNAL;
UPDATE same_query SET v = array_fill(1::real, ARRAY[3000]);
CREATE TABLE indexed_candidate AS SELECT i AS id, ARRAY[sin(i), cos(i), sin(i * 3), 1]::real[] AS v FROM generate_series(1, 1000) AS i;
ANALYZE query, candidate, long_query, same_query, indexed_candidate;

-- The instrument sees a leak where there is one: a CTE keeps the rows it gave.
SELECT * FROM growth('WITH c AS MATERIALIZED (SELECT q.v FROM query AS q, candidate AS c WHERE c.id <= 50) SELECT v FROM c', 1000);

-- Two million calls, a rescan every thousand, of a query that changes.
SELECT * FROM growth('SELECT d FROM query AS q, LATERAL (SELECT q.v <=> c.v AS d FROM candidate AS c OFFSET 0) AS x', 10000);
-- Of columns, of which nothing is prepared, and of a constant.
SELECT * FROM growth('SELECT q.v <-> c.v FROM query AS q, candidate AS c WHERE c.id <= 500', 10000);
SELECT * FROM growth('SELECT ''{1,2,3,4}'' <+> c.v FROM query AS q, candidate AS c WHERE c.id <= 500', 10000);
-- Of vectors that are detoasted at each call, as candidate and as query.
SELECT * FROM growth('SELECT l.v <#> (SELECT v FROM long_query WHERE id = 3) FROM long_query AS l, generate_series(1, 2000)', 1000);
SELECT * FROM growth('SELECT d FROM generate_series(1, 2000) AS n, LATERAL (SELECT l.v <-> (SELECT v FROM long_query WHERE id = 1 + n % 20) AS d FROM long_query AS l OFFSET 0) AS x', 1000);
-- Of batches and of top-k, some of which do not fit the arena.
SELECT * FROM growth('SELECT engram_cosine_batch(q.v, q.v || q.v || q.v), engram_normalize(q.v) FROM query AS q, generate_series(1, 100)', 1000);
SELECT * FROM growth('SELECT t.* FROM query AS q, generate_series(1, 50), LATERAL engram_topk(q.v, q.v || q.v || q.v, 2) AS t', 1000);
SET engramk.arena_size = '64kB';
SELECT overflows AS overflows_before FROM engram_arena_stats() \gset
SELECT * FROM growth('SELECT engram_cosine_batch(v || v || v, v || v || v) FROM long_query, generate_series(1, 300)', 100);
SELECT * FROM growth('SELECT engram_topk(v || v || v, v || v || v, 1) FROM long_query, generate_series(1, 300)', 100);
SELECT overflows - :overflows_before >= 12000 AS overflowed FROM engram_arena_stats();
RESET engramk.arena_size;

-- Of aggregates: a group for each query, with one that is the same for its rows
-- and one that is compared row by row, out of line; and of windows.
SELECT * FROM growth('SELECT n FROM query AS q, LATERAL (SELECT engram_nearest(c.id::bigint, c.v, q.v, 3) AS n FROM candidate AS c WHERE c.id <= 100 OFFSET 0) AS x', 200);
SELECT * FROM growth('SELECT nearest FROM generate_series(1, 500) AS n, LATERAL (SELECT engram_nearest(l.id::bigint, l.v, s.v, 3, ''l2'') AS nearest FROM long_query AS l, same_query AS s WHERE n > 0 OFFSET 0) AS x', 50);
SELECT * FROM growth('SELECT s FROM query AS q, LATERAL (SELECT engram_sum(c.v) AS s, engram_avg(c.v) FROM candidate AS c WHERE c.id <= 100 + 0 * q.id OFFSET 0) AS x', 200);
SELECT * FROM growth('SELECT engram_nearest(i, ARRAY[i % 100, 1]::real[], ''{1,2}'', 3) OVER w, engram_avg(ARRAY[i, 1]::real[]) OVER w FROM generate_series(1::bigint, 20000) AS i WINDOW w AS (ORDER BY i ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)', 2000);
-- Of a join for each query.
SELECT * FROM growth($$SELECT n FROM query AS q, generate_series(1, 2) AS times, LATERAL (SELECT count(*) AS n FROM engram_knn_join(
    format('SELECT id, v FROM query WHERE id BETWEEN %s AND %1$s + 1', q.id + times), 'SELECT id, v FROM candidate WHERE id <= 10', 2)) AS x$$, 400);
-- Of an index, by a constant and by a query for each scan.
CREATE INDEX candidate_v ON indexed_candidate USING engramk (v);
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT c.id FROM query AS q, LATERAL (SELECT c.id FROM indexed_candidate AS c ORDER BY c.v <=> q.v LIMIT 5) AS c;
SELECT * FROM growth('SELECT c.id FROM query AS q, LATERAL (SELECT c.id FROM indexed_candidate AS c ORDER BY c.v <=> q.v LIMIT 5) AS c', 1000);
SELECT * FROM growth('SELECT c.id FROM generate_series(1, 2000) AS n, LATERAL (SELECT c.id FROM indexed_candidate AS c WHERE n > 0 ORDER BY c.v <=> ''{1,2,3,4}'' LIMIT 5) AS c', 1000);
RESET enable_sort;

-- PL/pgSQL: arrays that are assigned to, so that each call copies their elements.
CREATE FUNCTION assign_and_call(times int) RETURNS TABLE (total float8, under_1_mb boolean) LANGUAGE plpgsql AS $$
DECLARE
    a real[] := array_fill(0::real, ARRAY[1000]);
    b real[] := array_fill(0::real, ARRAY[1000]);
    before bigint;
    after bigint;
BEGIN
    total := 0;
    FOR i IN 1 .. times LOOP
        IF i = times / 10 THEN
            SELECT sum(total_bytes) INTO before FROM pg_backend_memory_contexts;
        END IF;
        a[1 + i % 1000] := i % 2;
        total := total + (a <+> b);
    END LOOP;
    SELECT sum(total_bytes) INTO after FROM pg_backend_memory_contexts;
    under_1_mb := after - before < 1024 * 1024;
    RETURN NEXT;
END $$;
SELECT * FROM assign_and_call(20000);

-- Errors that are caught: all of them, and no memory.  One case in thirty is
-- none: '{1,2}' can be normalized.
CREATE FUNCTION catch(times int) RETURNS TABLE (errors int, under_1_mb boolean) LANGUAGE plpgsql AS $$
DECLARE
    good real[] := '{1,2,3}';
    one real[];
    result float8;
    before bigint;
    after bigint;
BEGIN
    errors := 0;
    FOR i IN 1 .. times LOOP
        IF i = times / 10 THEN
            SELECT sum(total_bytes) INTO before FROM pg_backend_memory_contexts;
        END IF;
        one := CASE i % 5 WHEN 0 THEN '{1,2,NaN}'::real[] WHEN 1 THEN '{1,NULL,2}' WHEN 2 THEN '{1,2}' WHEN 3 THEN '{{1},{2}}' ELSE '{}' END;
        BEGIN
            CASE i % 6
                WHEN 0 THEN result := one <=> good;
                WHEN 1 THEN result := good <-> one;
                WHEN 2 THEN result := (engram_cosine_batch(one, good))[1];
                WHEN 3 THEN result := (engram_cosine_batch(good, one || '{Infinity,0,-1}'))[1];
                WHEN 4 THEN result := (SELECT max(similarity) FROM engram_topk(one, good, i % 5));
                ELSE result := (engram_normalize(one))[1];
            END CASE;
        EXCEPTION WHEN data_exception OR null_value_not_allowed OR numeric_value_out_of_range OR array_subscript_error OR invalid_parameter_value THEN
            errors := errors + 1;
        END;
    END LOOP;
    SELECT sum(total_bytes) INTO after FROM pg_backend_memory_contexts;
    under_1_mb := after - before < 1024 * 1024;
    RETURN NEXT;
END $$;
SELECT * FROM catch(100000);
SELECT '{3,4}'::real[] <-> '{0,0}' AS still_right;

SET client_min_messages = warning;
DROP SCHEMA memory CASCADE;
