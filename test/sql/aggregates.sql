-- engram_sum, engram_avg and engram_cosine_matrix.
SET extra_float_digits = 1;

SELECT engram_sum(v), engram_avg(v) FROM (VALUES ('{1,2}'::real[]), (NULL), ('{3,-5}'), ('[4:5]={0.5,0}')) AS t(v);
SELECT engram_sum(v) IS NULL AS sum_of_none, engram_avg(v) IS NULL AS mean_of_none FROM (VALUES (NULL::real[])) AS t(v);
SELECT part, engram_sum(v), engram_avg(v)
FROM (VALUES (1, '{1,2}'::real[]), (2, '{7}'), (1, '{2,2}')) AS t(part, v) GROUP BY part ORDER BY part;

-- as window functions, of sets of groups, and told of their rows
SELECT id, engram_sum(v) OVER (ORDER BY id) AS grows, engram_avg(v) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS moves
FROM (VALUES (1, '{1,2}'::real[]), (2, '{3,0}'), (3, NULL), (4, '{-1,1}')) AS t(id, v) ORDER BY id;
SELECT a, b, engram_sum(v), engram_avg(v) FROM (VALUES (1, 1, '{1}'::real[]), (1, 2, '{3}'), (2, 1, '{5}')) AS t(a, b, v)
GROUP BY CUBE (a, b) ORDER BY a, b;
SELECT engram_sum(DISTINCT v) AS of_distinct, engram_avg(v ORDER BY v DESC) AS of_ordered, engram_sum(v) FILTER (WHERE v <> '{1}') AS of_some
FROM (VALUES ('{1}'::real[]), ('{1}'), ('{4}')) AS t(v);

-- in double precision: element by element, the sum and the mean of PostgreSQL
CREATE TABLE aggregate_vector AS
    SELECT i AS id, (SELECT array_agg((sin(i * 12.9898 + j) * 10 ^ (i % 9 - 4))::real ORDER BY j) FROM generate_series(1, 19) AS j) AS v
    FROM generate_series(1, 5000) AS i;
ANALYZE aggregate_vector;
SET max_parallel_workers_per_gather = 0;
WITH element AS (
    SELECT n, sum(x::float8)::real AS total, (sum(x::float8) / count(*))::real AS mean
    FROM (SELECT v FROM aggregate_vector ORDER BY id) AS t, unnest(v) WITH ORDINALITY AS u(x, n) GROUP BY n)
SELECT array_agg(total ORDER BY n) = (SELECT engram_sum(v) FROM (SELECT v FROM aggregate_vector ORDER BY id) AS t) AS same_sum,
       array_agg(mean ORDER BY n) = (SELECT engram_avg(v) FROM (SELECT v FROM aggregate_vector ORDER BY id) AS t) AS same_mean
FROM element;

-- what overflows or loses itself in single precision
SELECT engram_avg(v) FROM (VALUES ('{3e38,16777216}'::real[]), ('{3e38,1}'), ('{-3e38,1}')) AS t(v);
SELECT engram_sum(v) FROM (VALUES ('{3e38,16777216}'::real[]), ('{3e38,1}'), ('{-3e38,1}')) AS t(v);

-- parallel: whole numbers are exact in any order
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
EXPLAIN (COSTS OFF) SELECT engram_sum(v), engram_avg(v) FROM aggregate_vector;
CREATE TABLE aggregate_whole AS
    SELECT i % 3 AS part, ARRAY[i, i % 17, -i]::real[] AS v FROM generate_series(1, 20000) AS i;
ANALYZE aggregate_whole;
SELECT part, engram_sum(v), engram_avg(v) FROM aggregate_whole GROUP BY part ORDER BY part;
SET max_parallel_workers_per_gather = 0;
SELECT part, engram_sum(v), engram_avg(v) FROM aggregate_whole GROUP BY part ORDER BY part;

-- errors
SELECT engram_sum(v) FROM (VALUES ('{1,2}'::real[]), ('{1}')) AS t(v);
SELECT engram_avg(v) FROM (VALUES ('{1,2}'::real[]), ('{1,NaN}')) AS t(v);
SELECT engram_sum(v) FROM (VALUES ('{1,2}'::real[]), ('{-Infinity,1}')) AS t(v);
SELECT engram_sum('{}'::real[]);
SELECT engram_sum('{{1},{2}}'::real[]);
SELECT engram_sum('{1,NULL}'::real[]);
SELECT engram_sum(v) FROM (VALUES ('{3e38}'::real[]), ('{3e38}')) AS t(v);

-- the matrix: element by element the bits of engram_cosine
SELECT engram_cosine_matrix('{{1,0},{0,2},{0,0}}', '{{3,4},{-1,0}}') AS by_rows,
       engram_cosine_matrix('{1,0}', '{{3,4},{-1,0}}') AS one_query,
       engram_cosine_matrix('{{1,0},{0,2}}', '{3,4}') AS one_candidate;
SELECT engram_cosine_matrix('{}', '{{1}}') AS no_queries, engram_cosine_matrix('{1}', '{}') AS no_candidates,
       engram_cosine_matrix(NULL, '{1}') IS NULL AND engram_cosine_matrix('{1}', NULL) IS NULL AS null_argument;
WITH m AS (
    SELECT engram_cosine_matrix((SELECT array_agg(v ORDER BY id) FROM aggregate_vector WHERE id <= 8),
                                (SELECT array_agg(v ORDER BY id) FROM aggregate_vector WHERE id BETWEEN 101 AND 300)) AS m)
SELECT array_dims(m), (SELECT count(*) FROM aggregate_vector AS q, aggregate_vector AS c
                       WHERE q.id <= 8 AND c.id BETWEEN 101 AND 300 AND m[q.id][c.id - 100] IS DISTINCT FROM engram_cosine(q.v, c.v)) AS differences
FROM m;
SELECT engram_cosine_matrix('{{1,2}}', '{{1,2,3}}');
SELECT engram_cosine_matrix('{{{1}}}', '{1}');
SELECT engram_cosine_matrix('{{1,2},{1,NaN}}', '{1,2}');
SELECT engram_cosine_matrix('{1,2}', '{{1,2},{Infinity,2}}');

DROP TABLE aggregate_vector, aggregate_whole;
