-- engram_nearest: for every metric, group and plan the rows and the bits of
-- the query that it replaces, ORDER BY distance, id LIMIT k for each query.
SET client_min_messages = warning;
SET extra_float_digits = 1;

-- 2,000 vectors of 35 dimensions, with all that is special among them: equal
-- vectors, zero vectors, a NULL vector, a NULL id, the largest and the smallest
-- floats, negative ids
CREATE TEMPORARY TABLE target (id bigint, name uuid, part integer, v real[]);
INSERT INTO target
    SELECT i, md5(i::text)::uuid, i % 7,
        (SELECT array_agg(((sin(i * 12.9898 + j * 78.233) + (i % 11 = j % 11)::integer)
                           * (1 + i % 5))::real ORDER BY j)
         FROM generate_series(1, 35) AS j)
    FROM generate_series(-40, 1940) AS i;
INSERT INTO target
    SELECT 5000 + i, md5('twin' || i)::uuid, i % 7, v
    FROM target, generate_series(1, 3) AS i WHERE id IN (10, 20);
INSERT INTO target
    SELECT 6000 + i, md5('zero' || i)::uuid, i % 7, array_fill(0::real, ARRAY[35])
    FROM generate_series(1, 5) AS i;
INSERT INTO target VALUES
    (7000, md5('largest')::uuid, 1, array_fill(3.4028235e38::real, ARRAY[35])),
    (7001, md5('smallest')::uuid, 2, array_fill(1e-45::real, ARRAY[35])),
    (7002, md5('none')::uuid, 3, NULL),
    (NULL, NULL, 4, array_fill(1::real, ARRAY[35]));

-- queries by number: vectors of the table, and special ones
CREATE TEMPORARY TABLE query AS
    SELECT row_number() OVER (ORDER BY id)::integer AS number, v
    FROM target WHERE id BETWEEN 1 AND 26 OR id IN (6001, 7000, 7001);
CREATE TEMPORARY TABLE metric (metric text, operator text);
INSERT INTO metric VALUES ('cosine', '<=>'), ('inner_product', '<#>'), ('l2', '<->'), ('l1', '<+>');

-- How many rows differ between the aggregate and the queries that it replaces.
CREATE FUNCTION differences(metric text, operator text, queries integer, k integer, id text) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format($query$
        WITH mine AS (
            SELECT m.query, m.id, m.distance, row_number() OVER (PARTITION BY m.query ORDER BY m.place) AS rank
            FROM unnest((SELECT engram_nearest(%4$I, v, (SELECT array_agg(v ORDER BY number) FROM query WHERE number <= %2$s), %3$s, %1$L)
                         FROM target)) WITH ORDINALITY AS m(query, id, distance, place)),
        theirs AS (
            SELECT q.number AS query, t.id, t.distance, row_number() OVER (PARTITION BY q.number ORDER BY t.distance, t.id) AS rank
            FROM query AS q CROSS JOIN LATERAL (
                SELECT %4$I AS id, target.v %5$s q.v AS distance FROM target
                WHERE target.v IS NOT NULL AND %4$I IS NOT NULL
                ORDER BY 2, 1 LIMIT %3$s) AS t
            WHERE q.number <= %2$s)
        SELECT count(*) FROM (
            (TABLE mine EXCEPT ALL TABLE theirs) UNION ALL (TABLE theirs EXCEPT ALL TABLE mine)) AS d
        $query$, metric, queries, k, id, operator) INTO result;
    RETURN result;
END $$;

SELECT metric, queries, k, differences(metric, operator, queries, k, 'id')
FROM metric, (VALUES (1, 1), (3, 5), (8, 1), (29, 10), (29, 300)) AS n(queries, k)
ORDER BY metric, queries, k;
SELECT metric, differences(metric, operator, 29, 10, 'name') AS uuid FROM metric ORDER BY metric;
SET engramk.simd = off;
SELECT metric, differences(metric, operator, 29, 10, 'id') AS scalar FROM metric ORDER BY metric;
RESET engramk.simd;
SET engramk.verify_rate = 1;
SELECT metric, differences(metric, operator, 29, 10, 'id') AS verified FROM metric ORDER BY metric;
RESET engramk.verify_rate;

-- k larger than the table keeps it all
SELECT cardinality(engram_nearest(id, v, (SELECT v FROM target WHERE id = 1), 2147483647)) =
       count(*) FILTER (WHERE id IS NOT NULL AND v IS NOT NULL) AS all_of_them
FROM target;

-- the result
SELECT pg_typeof(engram_nearest(id, v, '{{1,0},{0,1}}', 1)) AS bigint,
       pg_typeof(engram_nearest(md5(id::text)::uuid, v, '{{1,0},{0,1}}', 1)) AS uuid,
       engram_nearest(id, v, '{{1,0},{0,1}}', 2) AS two_queries,
       engram_nearest(id, v, '{3,0}', 2, 'l2') AS one_query
FROM (VALUES (1::bigint, '{1,1}'::real[]), (2, '{0,5}'), (3, '{2,0}'), (4, NULL)) AS t(id, v);
SELECT engram_nearest(id, v, '{1}', 1) IS NULL AS no_rows FROM target WHERE false;
SELECT engram_nearest(1::bigint, '{1}'::real[], '{}', 1) AS no_queries,
       engram_nearest(1::bigint, NULL::real[], '{1}', 1) AS no_vectors,
       engram_nearest(1::bigint, '{1}'::real[], NULL, 1) IS NULL AS null_queries,
       engram_nearest(1::bigint, '{1}'::real[], '{1}', NULL) IS NULL AS null_k;

-- GROUP BY gives the nearest of each group; queries may differ by group
WITH mine AS (
    SELECT part, m.id, m.distance
    FROM (SELECT part, engram_nearest(id, v, (SELECT v FROM target WHERE id = 3), 4) AS matches
          FROM target GROUP BY part) AS g, unnest(g.matches) AS m),
theirs AS (
    SELECT part, id, distance
    FROM (SELECT part, id, v <=> (SELECT v FROM target WHERE id = 3) AS distance,
                 row_number() OVER (PARTITION BY part ORDER BY v <=> (SELECT v FROM target WHERE id = 3), id) AS rank
          FROM target WHERE id IS NOT NULL AND v IS NOT NULL) AS t
    WHERE rank <= 4)
SELECT count(*) AS differences
FROM ((TABLE mine EXCEPT ALL TABLE theirs) UNION ALL (TABLE theirs EXCEPT ALL TABLE mine)) AS d;
SELECT part, (engram_nearest(t.id, t.v, q.v, 1))[1].id AS itself
FROM target AS t JOIN target AS q USING (part) WHERE q.id BETWEEN 100 AND 106 GROUP BY part ORDER BY part;

-- a parameter that changes: LATERAL, and PL/pgSQL
SELECT q.number, m.id FROM query AS q CROSS JOIN LATERAL
    unnest((SELECT engram_nearest(t.id, t.v, q.v, 1) FROM target AS t WHERE t.id < 1000)) AS m
WHERE q.number <= 3 ORDER BY 1;
DO $$
DECLARE
    q real[];
BEGIN
    FOR q IN SELECT v FROM query WHERE number <= 3 ORDER BY number LOOP
        RAISE WARNING '%', (SELECT engram_nearest(id, v, q, 1) FROM target WHERE id < 1000);
    END LOOP;
END $$;

-- Equal queries are the same in whichever form they come: short-headed as a
-- table has them, with a long header, compressed, out of line in one table and
-- another, with other lower bounds, in one row of two dimensions
CREATE TABLE form (form text, v real[]);
ALTER TABLE form ALTER v SET STORAGE EXTERNAL;
CREATE TABLE other_form (LIKE form INCLUDING ALL);
CREATE TABLE compressed_form (form text, v real[]);
INSERT INTO form SELECT 'short', array_fill(1::real, ARRAY[20]);
INSERT INTO form SELECT 'out of line', array_fill(1::real, ARRAY[3000]);
INSERT INTO other_form SELECT 'out of line elsewhere', array_fill(1::real, ARRAY[3000]);
INSERT INTO compressed_form SELECT 'compressed', array_fill(1::real, ARRAY[3000]);
SELECT form, cardinality(v), pg_column_size(v) < 4 * cardinality(v) AS smaller
FROM (TABLE form UNION ALL TABLE other_form UNION ALL TABLE compressed_form) AS f ORDER BY form;
CREATE TEMPORARY VIEW all_forms AS
    TABLE form UNION ALL TABLE other_form UNION ALL TABLE compressed_form
    UNION ALL SELECT 'long', array_fill(1::real, ARRAY[n]) FROM (VALUES (20), (3000)) AS d(n)
    UNION ALL SELECT 'lower bounds', array_fill(1::real, ARRAY[n], ARRAY[-5]) FROM (VALUES (20), (3000)) AS d(n)
    UNION ALL SELECT 'two dimensions', array_fill(1::real, ARRAY[1, n]) FROM (VALUES (20), (3000)) AS d(n);
SELECT one.form, string_agg(other.form, ', ' ORDER BY other.form) AS same_as
FROM all_forms AS one JOIN all_forms AS other ON cardinality(one.v) = cardinality(other.v) AND one.form <> other.form
    CROSS JOIN LATERAL (
        SELECT engram_nearest(i, array_fill(i::real, ARRAY[cardinality(one.v)]), CASE i % 2 WHEN 0 THEN one.v ELSE other.v END, 9, 'l1') AS nearest
        FROM generate_series(1::bigint, 9) AS i) AS n
WHERE cardinality(nearest) = 9 GROUP BY cardinality(one.v), one.form ORDER BY cardinality(one.v), one.form;
SELECT engram_nearest(1::bigint, other.v, CASE n WHEN 1 THEN one.v ELSE other.v END, 1)
FROM form AS one, (SELECT array_fill(1::real, ARRAY[2999]) || 2::real AS v) AS other, generate_series(1, 2) AS n WHERE one.form = 'out of line';
-- and what is out of line is not read again for each row
CREATE FUNCTION blocks_read(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || statement INTO plan;
    RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END $$;
SELECT blocks_read($$SELECT engram_nearest(i, array_fill(1::real, ARRAY[3000]), v, 1)
                     FROM generate_series(1::bigint, 1000) AS i, (TABLE form UNION ALL TABLE other_form) AS f WHERE form LIKE 'out%'$$) < 1000 AS once;
DROP TABLE form, other_form, compressed_form CASCADE;

-- as a window function
SELECT id, engram_nearest(id, v, '{1,0}', 1) OVER (ORDER BY id) AS nearest_so_far
FROM (VALUES (1::bigint, '{0,1}'::real[]), (2, '{1,1}'), (3, '{-1,0}')) AS t(id, v);

-- Where its result is asked for again and again, or of many groups at once: a
-- window that grows, and one that moves; sets of groups; and what an aggregate
-- can be told of its rows.
CREATE TEMPORARY TABLE few AS SELECT id, part, id % 3 AS third, v FROM target WHERE id BETWEEN 1 AND 300;
CREATE FUNCTION of_few(condition text) RETURNS engram_match[] LANGUAGE plpgsql AS $$
DECLARE
    result engram_match[];
BEGIN
    EXECUTE 'SELECT engram_nearest(id, v, (SELECT array_agg(v ORDER BY number) FROM query WHERE number <= 5), 4) FROM few WHERE ' || condition INTO result;
    RETURN result;
END $$;
SELECT count(*) AS rows, count(*) FILTER (WHERE grows IS DISTINCT FROM of_few('id <= ' || id)) AS wrong_that_grow,
    count(*) FILTER (WHERE moves IS DISTINCT FROM of_few(format('id BETWEEN %s AND %s', id - 20, id + 5))) AS wrong_that_move
FROM (SELECT id, engram_nearest(id, v, q, 4) OVER (ORDER BY id) AS grows,
          engram_nearest(id, v, q, 4) OVER (ORDER BY id ROWS BETWEEN 20 PRECEDING AND 5 FOLLOWING) AS moves
      FROM few, (SELECT array_agg(v ORDER BY number) AS q FROM query WHERE number <= 5) AS t) AS w;
CREATE FUNCTION wrong_sets(sets text) RETURNS TABLE (groups bigint, wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($query$
        SELECT count(*), count(*) FILTER (WHERE nearest IS DISTINCT FROM of_few(
            format('coalesce(part = %%L, true) AND coalesce(third = %%L, true)', part, third)))
        FROM (SELECT part, third, engram_nearest(id, v, (SELECT array_agg(v ORDER BY number) FROM query WHERE number <= 5), 4) AS nearest
              FROM few GROUP BY %s) AS g $query$, sets);
END $$;
SELECT * FROM wrong_sets('ROLLUP (part, third)');
SET enable_hashagg = off;
SELECT * FROM wrong_sets('CUBE (part, third)');
RESET enable_hashagg;
SET enable_sort = off;
SELECT * FROM wrong_sets('CUBE (part, third)');
RESET enable_sort;
SELECT engram_nearest(DISTINCT id, v, '{1,0}'::real[], 3) AS of_distinct, engram_nearest(id, v, '{1,0}', 3 ORDER BY id DESC) AS of_ordered,
    engram_nearest(id, v, '{1,0}', 3) FILTER (WHERE id <> 2) AS of_some, engram_nearest(id, v, '{1,0}', 3) FILTER (WHERE false) AS of_none
FROM (VALUES (1::bigint, '{0,1}'::real[]), (2, '{1,1}'), (2, '{1,1}'), (3, '{-1,0}')) AS t(id, v);

-- errors
SELECT engram_nearest(1::bigint, '{1}'::real[], '{1}', 0);
SELECT engram_nearest(1::bigint, '{1}'::real[], '{1}', 1, 'hamming');
SELECT engram_nearest(1::bigint, '{1,2}'::real[], '{1}', 1);
SELECT engram_nearest(1::bigint, '{1,NaN}'::real[], '{1,2}', 1);
SELECT engram_nearest(i::bigint, CASE i WHEN 30 THEN '{1,Infinity}' ELSE '{1,2}' END::real[], '{{1,2},{3,4},{5,6},{7,8}}', 1) FROM generate_series(1, 40) AS i;
SELECT engram_nearest(1::bigint, '{1,2}'::real[], '{{1,2},{-Infinity,2}}', 1);
SELECT engram_nearest(1::bigint, '{1}'::real[], '{{{1}}}', 1);
SELECT engram_nearest(1::bigint, '{1}'::real[], '{NULL}', 1);
SELECT engram_nearest(id, v, v, 1) FROM target WHERE id IN (1, 2);
SELECT engram_nearest(id, v, '{1}', id::integer) FROM (VALUES (1::bigint, '{1}'::real[]), (2, '{1}')) AS t(id, v);
SET engramk.arena_size = '64kB';
SET engramk.arena_overflow = error;
SELECT engram_nearest(id, v, (SELECT array_agg(v) FROM target WHERE id < 1000), 10) FROM target;
RESET engramk.arena_overflow;
SELECT cardinality(engram_nearest(id, v, (SELECT array_agg(v) FROM target WHERE id < 1000), 10)) FROM target;
RESET engramk.arena_size;

-- the type of the result is not ours alone
BEGIN;
ALTER TYPE engram_match ADD ATTRIBUTE note text;
SELECT engram_nearest(1::bigint, '{1}'::real[], '{1}', 1);
ROLLBACK;
BEGIN;
ALTER TYPE engram_uuid_match ALTER ATTRIBUTE query TYPE bigint;
SELECT engram_nearest('00000000-0000-0000-0000-000000000001'::uuid, '{1}'::real[], '{1}', 1);
ROLLBACK;

-- Parallel plans: large tables have them, and the bits are the same.
CREATE TABLE nearest_large AS
    SELECT i AS id, i % 10 AS part, ARRAY[sin(i), cos(i * 3), sin(i * i), cos(i / 7.0)]::real[] AS v
    FROM generate_series(1::bigint, 20000) AS i;
ANALYZE nearest_large;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF)
SELECT engram_nearest(id, v, '{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}}', 10) FROM nearest_large;
EXPLAIN (COSTS OFF)
SELECT part, engram_nearest(id, v, '{1,0,0,0}', 3, 'l2') FROM nearest_large GROUP BY part;
CREATE TEMPORARY TABLE answer (workers integer, gathered boolean, whole engram_match[], parts text);
-- SELECTs of their own, since PostgreSQL runs no INSERT ... SELECT in parallel
CREATE PROCEDURE answer_with(workers integer) LANGUAGE plpgsql AS $$
DECLARE
    whole_query text := $query$
        SELECT engram_nearest(id, v, '{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1},{1,2,3,4}}', 10, 'l2') FROM nearest_large $query$;
    parts_query text := $query$
        SELECT string_agg(parts::text, ' ' ORDER BY part)
        FROM (SELECT part, engram_nearest(id, v, '{1,0,0,0}', 3) AS parts FROM nearest_large GROUP BY part) AS g $query$;
    whole_plan json;
    parts_plan json;
    whole engram_match[];
    parts text;
BEGIN
    EXECUTE format('ALTER TABLE nearest_large SET (parallel_workers = %s)', workers);
    PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
    EXECUTE 'EXPLAIN (FORMAT json) ' || whole_query INTO whole_plan;
    EXECUTE 'EXPLAIN (FORMAT json) ' || parts_query INTO parts_plan;
    EXECUTE whole_query INTO whole;
    EXECUTE parts_query INTO parts;
    INSERT INTO answer VALUES (workers, whole_plan::text ~ 'Gather' AND parts_plan::text ~ 'Gather', whole, parts);
END $$;
SET parallel_setup_cost = 0;
CALL answer_with(0);
CALL answer_with(1);
CALL answer_with(4);
SELECT workers, gathered FROM answer ORDER BY workers;
SELECT count(*) AS answers, count(DISTINCT whole) AS different_wholes, count(DISTINCT parts) AS different_parts FROM answer;
DROP TABLE nearest_large;
