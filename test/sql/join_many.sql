-- engram_knn_join of so many pairs that it looks at shadows first, of a few
-- directions: the rows and bits of the portable code, which compares all pairs.
-- Vectors of a few factors, of many lengths; zeros, and each tenth one twice.
CREATE TABLE many_vectors AS
WITH factor AS MATERIALIZED (
    SELECT f, array(SELECT sin(j * (f + 0.37) * 1.7 + f) FROM generate_series(1, 64) AS j) AS direction
    FROM generate_series(1, 10) AS f
), place AS MATERIALIZED (
    SELECT i, f, sin(i * f * 0.7331 + cos(i * 1.37 + f * f)) / sqrt(f) AS x
    FROM generate_series(1, 4600) AS i, generate_series(1, 10) AS f
), summed AS (
    SELECT i, j, sum(x * direction[j]) + 0.1 * sin(i * j * 0.91) AS element
    FROM place JOIN factor USING (f), generate_series(1, 64) AS j
    GROUP BY i, j
)
SELECT i AS id, array_agg((element * power(1.3, i % 23 - 11))::real ORDER BY j) AS v
FROM summed GROUP BY i;
INSERT INTO many_vectors SELECT 10000 + id, v FROM many_vectors WHERE id % 10 = 0;
INSERT INTO many_vectors SELECT 20000 + i, array_fill(0::real, ARRAY[64]) FROM generate_series(1, 3) AS i;
-- no floats hold what a screen makes of these
INSERT INTO many_vectors SELECT 30000 + id, array(SELECT x * 1e20::real FROM unnest(v) AS x) FROM many_vectors WHERE id % 400 = 1;
INSERT INTO many_vectors SELECT 40000 + id, array(SELECT x * 1e-20::real FROM unnest(v) AS x) FROM many_vectors WHERE id % 400 = 2;

CREATE FUNCTION joined(metric text, k integer) RETURNS TABLE (query_id bigint, target_id bigint, rank integer, distance double precision)
    LANGUAGE sql AS $$
    SELECT * FROM engram_knn_join('SELECT id, v FROM many_vectors ORDER BY id',
                                  'SELECT id, v FROM many_vectors ORDER BY id % 7, id', k, metric, metric <> 'inner_product')
$$;
CREATE TEMPORARY TABLE metric (metric text, k integer);
INSERT INTO metric VALUES ('cosine', 5), ('inner_product', 3), ('l2', 2);
SET engramk.arena_size = '64MB';
SET engramk.simd = off;
CREATE TABLE portable AS SELECT metric, j.* FROM metric, joined(metric, k) AS j;
SET engramk.simd = on;
CREATE TABLE screened AS SELECT metric, j.* FROM metric, joined(metric, k) AS j;
-- there were shadows
SET client_min_messages = debug1;
SELECT count(*) AS neighbours FROM joined('cosine', 1);
RESET client_min_messages;
SELECT metric, count(*) AS neighbours FROM portable GROUP BY metric ORDER BY metric;
SELECT count(*) AS different
FROM ((TABLE portable EXCEPT ALL TABLE screened) UNION ALL (TABLE screened EXCEPT ALL TABLE portable)) AS d;
RESET engramk.simd;
RESET engramk.arena_size;
DROP TABLE portable, screened, many_vectors;
DROP FUNCTION joined;
