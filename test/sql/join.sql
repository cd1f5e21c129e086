-- engram_knn_join: the rows and the bits of the LATERAL query that it replaces,
-- whatever the budget; and what it does with statements that are not two SELECTs.
SET extra_float_digits = 1;

CREATE TABLE join_target AS
    SELECT i AS id, (SELECT array_agg((sin(i * 12.9898 + j * 78.233) + (i % 13 = j % 13)::integer)::real ORDER BY j)
                     FROM generate_series(1, 35) AS j) AS v
    FROM generate_series(1::bigint, 1500) AS i;
INSERT INTO join_target SELECT 2000 + id, v FROM join_target WHERE id % 100 = 0;
INSERT INTO join_target VALUES (NULL, array_fill(1::real, ARRAY[35])), (3000, NULL), (3001, array_fill(0::real, ARRAY[35]));
CREATE TABLE join_query AS SELECT id::integer, v FROM join_target WHERE id % 5 = 0 OR id > 1500;
ANALYZE join_target, join_query;

CREATE FUNCTION differences(metric text, operator text, k integer, exclude_self boolean) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format($query$
        WITH mine AS (
            SELECT query_id, target_id, rank, distance
            FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', %2$s, %1$L, %4$L)),
        theirs AS (
            SELECT q.id::bigint AS query_id, t.id AS target_id,
                row_number() OVER (PARTITION BY q.id ORDER BY t.distance, t.id)::integer AS rank, t.distance
            FROM join_query AS q CROSS JOIN LATERAL (
                SELECT j.id, j.v %3$s q.v AS distance FROM join_target AS j
                WHERE j.v IS NOT NULL AND j.id IS NOT NULL AND NOT (%4$L AND j.id = q.id)
                ORDER BY 2, 1 LIMIT %2$s) AS t
            WHERE q.v IS NOT NULL)
        SELECT count(*) FROM (
            (TABLE mine EXCEPT ALL TABLE theirs) UNION ALL (TABLE theirs EXCEPT ALL TABLE mine)) AS d
        $query$, metric, k, operator, exclude_self) INTO result;
    RETURN result;
END $$;
CREATE TEMPORARY TABLE metric (metric text, operator text);
INSERT INTO metric VALUES ('cosine', '<=>'), ('inner_product', '<#>'), ('l2', '<->'), ('l1', '<+>');

SELECT metric, differences(metric, operator, 10, false) AS with_self,
    differences(metric, operator, 3, true) AS without_self
FROM metric ORDER BY metric;
SET engramk.simd = off;
SELECT metric, differences(metric, operator, 10, true) AS scalar FROM metric ORDER BY metric;
RESET engramk.simd;

-- many passes over the targets, and a k that only one query has room for
SET engramk.arena_size = '64kB';
SELECT metric, differences(metric, operator, 10, true) AS many_passes FROM metric ORDER BY metric;
SELECT differences('cosine', '<=>', 5000, false) AS everything;
SET engramk.arena_overflow = error;
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 10);
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 1000000);
RESET engramk.arena_overflow;
RESET engramk.arena_size;

-- rows come in the order of the queries, nearest first
SELECT * FROM engram_knn_join($$VALUES (2::bigint, '{1,0}'::real[]), (1, '{0,1}')$$,
                              $$VALUES (1::smallint, '{2,0}'::real[]), (2, '{0,2}'), (3, '{1,1}')$$, 2);
SELECT * FROM engram_knn_join($$VALUES (2, '{1,0}'::real[]), (1, '{0,1}')$$,
                              $$VALUES (1, '{2,0}'::real[]), (2, '{0,2}'), (3, '{1,1}')$$, 2, 'l2', true);
SELECT count(*) AS no_queries FROM engram_knn_join('SELECT id, v FROM join_query WHERE false', 'SELECT id, v FROM join_target', 3);
SELECT count(*) AS no_targets FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target WHERE false', 3);
SELECT count(*) AS null_argument FROM engram_knn_join(NULL, 'SELECT id, v FROM join_target', 3);

-- inside other queries
SELECT count(*), count(DISTINCT query_id) FROM join_query AS q
    JOIN engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 2) AS n ON n.query_id = q.id;
SELECT k, (SELECT count(*) FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', k))
FROM generate_series(1, 3) AS k;

-- the target statement may run in parallel
SET parallel_setup_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE join_target SET (parallel_workers = 2);
SELECT differences('cosine', '<=>', 10, true) AS parallel;

-- the statement's own snapshot, and the caller's own rights
WITH added AS (INSERT INTO join_target SELECT 9000, v FROM join_target WHERE id = 5 RETURNING id)
SELECT count(*) FILTER (WHERE target_id = 9000) AS not_seen
FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 2), added;
CREATE ROLE regress_engramk_join;
GRANT SELECT ON join_query TO regress_engramk_join;
SET ROLE regress_engramk_join;
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 2);
RESET ROLE;

-- errors
SELECT engram_knn_join('SELECT 1; SELECT 2', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT id FROM join_query', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT id, v FROM join_query', 'SELECT id::text, v FROM join_target', 3);
SELECT engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v::float8[] FROM join_target', 3);
SELECT engram_knn_join('DELETE FROM join_query RETURNING id, v', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target FOR UPDATE', 3);
SELECT engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 0);
SELECT engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 3, 'Cosine');
SELECT engram_knn_join('SELECT 1, ''{1}''::real[]', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT 1, ''{NaN}''::real[]', 'SELECT 1, ''{1}''::real[]', 3);
SELECT engram_knn_join('SELECT 1, ''{1}''::real[]', 'SELECT 1, ''{Infinity}''::real[]', 3);
SELECT engram_knn_join('SELECT 1, ''{1}''::real[] UNION ALL SELECT 2, ''{1,2}''', 'SELECT 1, ''{1}''::real[]', 3);
SELECT engram_knn_join('WITH d AS (DELETE FROM join_query RETURNING id, v) SELECT id, v FROM d', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT id, v FROM join_query', 'WITH d AS (DELETE FROM join_target RETURNING id, v) SELECT id, v FROM d', 3);
SELECT engram_knn_join('SELECT id, v FROM (SELECT * FROM join_query FOR SHARE) AS q', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('TRUNCATE join_query', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('EXPLAIN SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SHOW work_mem', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT id, v INTO join_copy FROM join_query', 'SELECT id, v FROM join_target', 3);
SELECT engram_knn_join('SELECT $1, v FROM join_query', 'SELECT id, v FROM join_target', 3);
SELECT count(*) AS table_is_a_select FROM engram_knn_join('TABLE join_query', 'TABLE join_target', 3);

-- One statement may call what changes the tables of the other: it is planned
-- only when it runs, and what it returns then is looked at again.
CREATE FUNCTION execute(statement text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; RETURN 1; END $$;
CREATE FUNCTION join_after(statement text, targets text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM engram_knn_join(format('SELECT execute(%L), v FROM join_query WHERE id = 5', statement), targets, 3)
$$;
CREATE VIEW join_view AS TABLE join_target;
CREATE FUNCTION join_rows() RETURNS TABLE (id bigint, v real[]) LANGUAGE sql AS 'TABLE join_target';
CREATE DOMAIN join_id AS bigint;
\set VERBOSITY terse
SELECT join_after('SELECT 1', 'TABLE join_target') AS nothing_changed;
BEGIN; SELECT join_after('DROP TABLE join_target CASCADE', 'SELECT id, v FROM join_target'); ROLLBACK;
BEGIN; SELECT join_after('DROP FUNCTION join_rows()', 'SELECT id, v FROM join_rows()'); ROLLBACK;
BEGIN; SELECT join_after('DROP DOMAIN join_id', 'SELECT id::join_id, v FROM join_target'); ROLLBACK;
BEGIN; SELECT join_after('ALTER TABLE join_target DROP v CASCADE', 'SELECT id, v FROM join_target'); ROLLBACK;
BEGIN; SELECT join_after('ALTER TABLE join_target ADD note text', 'TABLE join_target'); ROLLBACK;
BEGIN; SELECT join_after('DROP VIEW join_view; CREATE VIEW join_view AS SELECT v, id FROM join_target', 'TABLE join_view'); ROLLBACK;
BEGIN; SELECT join_after('DROP VIEW join_view; CREATE VIEW join_view AS SELECT id, v::float8[] FROM join_target', 'TABLE join_view'); ROLLBACK;
-- another type of id is as good
BEGIN; SELECT join_after('DROP VIEW join_view; CREATE VIEW join_view AS SELECT (id % 100)::smallint, v FROM join_target', 'TABLE join_view'); ROLLBACK;
BEGIN; SELECT engram_knn_join($$SELECT id, v FROM join_query$$, $$SELECT execute('DROP TABLE join_query'), v FROM join_target$$, 3); ROLLBACK;
-- nor can it close the cursor of the queries
\set VERBOSITY sqlstate
SELECT engram_knn_join('SELECT id, v FROM join_query', $$SELECT execute('CLOSE ALL'), v FROM join_target$$, 3);
\set VERBOSITY default
SELECT count(*) AS still_works FROM engram_knn_join('SELECT id, v FROM join_query', 'SELECT id, v FROM join_target', 3);

DROP FUNCTION join_rows();
DROP VIEW join_view;
DROP TABLE join_target, join_query;
DROP ROLE regress_engramk_join;
