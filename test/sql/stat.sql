-- The statistics of known work, exactly; and who may see and reset them.  The
-- server runs nothing else of engramk meanwhile.
CREATE SCHEMA stat;
SET search_path = stat, public;

CREATE FUNCTION outcome(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN 'returned ' || coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

-- The same on every machine: all levels together.
CREATE VIEW kernels AS
SELECT operation, sum(calls) AS calls, sum(candidates) AS candidates, sum(elements) AS elements, sum(timed_elements) AS timed_elements
FROM engram_stat_kernels GROUP BY operation;

-- The views and their columns.
SELECT c.relname AS view, string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) AS columns
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relname LIKE 'engram\_stat\_%' AND c.relkind = 'v' GROUP BY c.relname ORDER BY c.relname COLLATE "C";

-- The rows are always the same: every operation with every level that this
-- library holds, and nothing is NULL.
SELECT count(DISTINCT operation) AS operations, count(*) = count(DISTINCT operation) * (SELECT count(*) FROM engram_simd_info() WHERE compiled) AS every_level,
       bool_and(k IS NOT NULL) AS no_nulls
FROM engram_stat_kernels AS k;

-- After a reset everything is zero, and it says when.
SELECT engram_stat_reset();
SELECT * FROM kernels WHERE calls + candidates + elements + timed_elements <> 0;
SELECT * FROM engram_stat_arena;
SELECT * FROM engram_stat_errors;
SELECT * FROM engram_stat_verify;
SELECT scope, abs(extract(epoch FROM clock_timestamp() - stats_reset)) < 60 AS just_now FROM engram_stat_info;
CREATE TABLE earlier AS SELECT stats_reset FROM engram_stat_info;
SELECT engram_stat_reset();
SELECT i.stats_reset > e.stats_reset AS later FROM engram_stat_info AS i, earlier AS e;

-- Known work.  A pair is one candidate; NULL is no call; an operator is its
-- function.
SELECT engram_stat_reset();
SELECT count(engram_cosine(v, v)), count(v <=> v) FROM (SELECT array_fill(i::real, ARRAY[10]) AS v FROM generate_series(1, 100) AS i) AS s;
SELECT count(engram_inner_product(v, '{1,2,3}')), count(v <#> '{1,2,3}') FROM (SELECT ARRAY[i, 1, 1]::real[] AS v FROM generate_series(1, 7) AS i) AS s;
SELECT count(v <-> ARRAY[1,i]::real[]) FROM (SELECT i, ARRAY[i, 1]::real[] AS v FROM generate_series(1, 5) AS i) AS s;
SELECT count(v <+> nullif(v, v)), count(v <+> '{1,1}') FROM (SELECT ARRAY[i, 1]::real[] AS v FROM generate_series(1, 3) AS i) AS s;
SELECT count(engram_norm(v)), count(engram_normalize(v)), count(engram_is_valid(v)) FROM (SELECT ARRAY[i, 1]::real[] AS v FROM generate_series(1, 4) AS i) AS s;
SELECT cardinality(engram_cosine_batch(array_fill(1::real, ARRAY[16]), array_fill(1::real, ARRAY[300, 16])));
SELECT cardinality(engram_cosine_batch('{1,2}', '{}'));
SELECT count(*) FROM engram_topk('{1,1,1,1}', array_fill(1::real, ARRAY[1000 * 4]), 5);
SELECT * FROM kernels ORDER BY operation;
SELECT resets, overflows, overflow_bytes, overflow_rate, high_water > 0 AS used FROM engram_stat_arena;

-- What is not used is not counted: only the level in use has calls, and none
-- is timed.
SELECT bool_and(k.calls = 0 OR i.active) AS only_the_active, bool_and(k.seconds = 0 AND k.slowest = 0) AS untimed
FROM engram_stat_kernels AS k JOIN engram_simd_info() AS i USING (level);
SELECT engram_stat_reset();
SET engramk.simd = off;
SELECT engram_norm('{3,4}');
RESET engramk.simd;
SELECT level, operation, calls FROM engram_stat_kernels WHERE calls > 0;

-- Timing is off unless asked for, and is of those calls only.
SELECT engram_stat_reset();
SELECT count(engram_norm(array_fill(i::real, ARRAY[1000]))) FROM generate_series(1, 10) AS i;
SET engramk.track_timing = on;
SELECT count(engram_norm(array_fill(i::real, ARRAY[1000]))) FROM generate_series(1, 90) AS i;
SELECT count(*) FROM engram_topk('{1,1}', array_fill(1::real, ARRAY[20000]), 1);
RESET engramk.track_timing;
SELECT operation, sum(calls) AS calls, sum(elements) AS elements, sum(timed_elements) AS timed_elements,
       sum(seconds) > 0 AS took_time, max(slowest) > 0 AS slowest, bool_and(slowest <= seconds) AS slowest_is_a_part
FROM engram_stat_kernels GROUP BY operation HAVING sum(calls) > 0 ORDER BY operation;

-- The arena: overflows are counted for all to see, and so is one that failed.
SELECT engram_stat_reset();
SET engramk.arena_size = '64kB';
SELECT cardinality(engram_cosine_batch(array_fill(i::real, ARRAY[16000]), array_fill(1::real, ARRAY[32000]))) FROM generate_series(1, 3) AS i;
SET engramk.arena_overflow = error;
SELECT outcome($$SELECT engram_cosine_batch(array_fill(1::real, ARRAY[16000]), array_fill(1::real, ARRAY[32000]))$$);
RESET engramk.arena_overflow;
RESET engramk.arena_size;
SELECT resets, overflows, overflow_bytes, high_water, overflow_rate FROM engram_stat_arena;
SELECT * FROM engram_stat_errors WHERE errors > 0;
-- After a reset, what this session once needed is forgotten.
SELECT engram_stat_reset();
SELECT cardinality(engram_cosine_batch('{1,2}', '{1,2,3,4}'));
SELECT resets, high_water FROM engram_stat_arena;
-- The table of docs/operations.md says so.
SELECT count(*) FROM engram_topk(array_fill(1::real, ARRAY[768]), array_fill(1::real, ARRAY[768000]), 1000);
SELECT high_water FROM engram_stat_arena;
-- What outlives a call has a budget, and an error of it counts like the rest.
SELECT engram_stat_reset();
SET engramk.arena_size = '64kB';
SET engramk.arena_overflow = error;
SELECT outcome($$SELECT engram_nearest(1::bigint, array_fill(1::real, ARRAY[1000]), array_fill(1::real, ARRAY[100, 1000]), 1)$$);
RESET engramk.arena_overflow;
RESET engramk.arena_size;
SELECT overflows, high_water > 65536 AS above FROM engram_stat_arena;
SELECT * FROM engram_stat_errors WHERE errors > 0;

-- Errors by kind, exactly, though each was rolled back: every statement runs
-- twice.  An error that is not of engramk is not counted.
SELECT engram_stat_reset();
SELECT kind, outcome(statement), outcome(statement) FROM (VALUES
    (1, 'dimensions', $$SELECT engram_cosine('{1,2}', '{1}')$$),
    (2, 'dimensions', $$SELECT engram_norm('{}')$$),
    (3, 'dimensions', $$SELECT engram_cosine_batch('{1,2}', '{1,2,3}')$$),
    (4, 'dimensions', $$SELECT engram_cosine_batch('{1,2}', '{{1,2,3}}')$$),
    (5, 'nulls', $$SELECT engram_norm('{NULL}')$$),
    (6, 'nulls', $$SELECT engram_topk('{1}', '{1,NULL}', 1)$$),
    (7, 'not finite', $$SELECT '{1,NaN}'::real[] <=> '{1,1}'$$),
    (8, 'not finite', $$SELECT '{1,Infinity}'::real[] <-> '{1,1}'$$),
    (9, 'not finite', $$SELECT engram_cosine_batch('{1}', '{1,-Infinity}')$$),
    (10, 'other', $$SELECT engram_norm('{{1}}')$$),
    (11, 'other', $$SELECT engram_topk('{1}', '{1}', 0)$$),
    (12, 'other', $$SELECT engram_cosine_batch('{1}', '{{{1}}}')$$),
    (13, 'none', $$SELECT engram_norm(1)$$),
    (14, 'none', $$SELECT engram_is_valid('{NULL,NaN}')$$)) AS t(n, kind, statement) ORDER BY n;
SELECT * FROM engram_stat_errors;

-- Counters are for all to see when the transaction ends, committed or not, and
-- before that for the session itself.
SELECT engram_stat_reset();
BEGIN;
SELECT engram_norm('{3,4}');
SELECT calls FROM kernels WHERE operation = 'norm';
ROLLBACK;
BEGIN;
SELECT engram_norm('{3,4}');
SAVEPOINT s;
SELECT engram_norm('{{1}}');
ROLLBACK TO s;
COMMIT;
\c
SET search_path = stat, public;
SELECT calls FROM kernels WHERE operation = 'norm';
SELECT * FROM engram_stat_errors WHERE errors > 0;

-- A reset is not rolled back.
BEGIN;
SELECT engram_stat_reset();
ROLLBACK;
SELECT calls FROM kernels WHERE operation = 'norm';

-- This session shows itself, once, at the level that it uses.
SELECT count(*) FROM engram_stat_backends WHERE pid = pg_backend_pid();
SELECT b.level = i.level AS level, b.version = e.extversion AS version, datname = current_database() AS database, usename = current_user AS "user", state
FROM engram_stat_backends AS b, engram_simd_info() AS i, pg_extension AS e
WHERE b.pid = pg_backend_pid() AND i.active AND e.extname = 'engramk';
SET engramk.simd = off;
SELECT level FROM engram_stat_backends WHERE pid = pg_backend_pid();
BEGIN;
SET LOCAL engramk.simd = on;
ROLLBACK;
SELECT level FROM engram_stat_backends WHERE pid = pg_backend_pid();
RESET engramk.simd;

-- Who may do what.
CREATE ROLE regress_plain;
CREATE ROLE regress_watcher IN ROLE pg_read_all_stats;
CREATE ROLE regress_resetter;
GRANT USAGE ON SCHEMA stat TO regress_plain, regress_watcher, regress_resetter;
GRANT EXECUTE ON FUNCTION engram_stat_reset() TO regress_resetter;
CREATE TABLE view AS
SELECT name FROM unnest(ARRAY['engram_stat_kernels', 'engram_stat_arena', 'engram_stat_errors', 'engram_stat_verify', 'engram_stat_info', 'engram_stat_backends', 'engram_stat_get_backends()']) AS name;
GRANT SELECT ON view TO regress_plain, regress_watcher;
SET ROLE regress_plain;
SELECT name, outcome(format('SELECT count(*) > 0 FROM %s', name)) FROM view;
SELECT outcome('SELECT engram_stat_reset()') AS reset, outcome('SET engramk.track_timing = on') AS timing,
       outcome('SET engramk.verify_rate = 1') AS verify, outcome('SET engramk.simd = off') AS simd;
SET ROLE regress_watcher;
SELECT name, outcome(format('SELECT count(*) > 0 FROM %s', name)) FROM view;
SELECT outcome('SELECT engram_stat_reset()') AS reset;
SET ROLE regress_resetter;
SELECT outcome('SELECT engram_stat_reset()') AS reset;
RESET ROLE;

-- Work of parallel workers is counted.
CREATE TABLE spread AS SELECT ARRAY[i, 1, 1, 1]::real[] AS v FROM generate_series(1, 1000) AS i;
ALTER TABLE spread SET (parallel_workers = 2);
ANALYZE spread;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT engram_stat_reset();
EXPLAIN (COSTS OFF) SELECT max(v <=> '{1,2,3,4}') FROM spread;
SELECT max(v <=> '{1,2,3,4}') > 0 AS positive FROM spread;
SELECT calls, elements FROM kernels WHERE operation = 'cosine';

RESET ALL;
SET client_min_messages = warning;
DROP SCHEMA stat CASCADE;
REVOKE ALL ON FUNCTION public.engram_stat_reset() FROM regress_resetter;
DROP ROLE regress_plain, regress_watcher, regress_resetter;
