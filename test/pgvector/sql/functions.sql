-- Functions of engramk over vector, halfvec and arrays of these: the results are those of
-- real[], bit for bit, and so not pgvector's.
CREATE SCHEMA functions;
SET search_path = functions, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int PRIMARY KEY, u uuid, v vector(7), h halfvec(7), r real[], s real[]);
INSERT INTO item (id, u, v, h) SELECT i, md5(i::text)::uuid, wave(i, 7), wave(i, 7) FROM generate_series(1, 300) AS i;
UPDATE item SET v = array_fill(0, '{7}'), h = array_fill(0, '{7}') WHERE id % 100 = 1;
UPDATE item SET v = NULL, h = NULL WHERE id % 100 = 2;
UPDATE item SET r = v::real[], s = h::real[];
CREATE VIEW query AS SELECT v, h, r, s FROM item WHERE id IN (7, 77, 101);

-- What is within a radius; a zero vector is at a cosine distance of 1 from all others.
SELECT name, bool_and(of_vector = of_array) AS vectors, bool_and(of_halfvec = of_wide_halfvec) AS halfvecs, count(*) FILTER (WHERE of_vector) AS within
FROM query AS q, item AS i, LATERAL (VALUES
    ('cosine', engram_cosine_within(i.v, q.v, 1), engram_cosine_within(i.r, q.r, 1), engram_cosine_within(i.h, q.h, 1), engram_cosine_within(i.s, q.s, 1)),
    ('inner product', engram_inner_product_within(i.v, q.v, -2), engram_inner_product_within(i.r, q.r, -2), engram_inner_product_within(i.h, q.h, -2), engram_inner_product_within(i.s, q.s, -2)),
    ('l2', engram_l2_within(i.v, q.v, 2), engram_l2_within(i.r, q.r, 2), engram_l2_within(i.h, q.h, 2), engram_l2_within(i.s, q.s, 2)))
    AS f (name, of_vector, of_array, of_halfvec, of_wide_halfvec)
GROUP BY name ORDER BY name;
SELECT engram_l2_within(v, v, 'NaN') FROM item WHERE id = 7;
SELECT engram_l2_within('[1,2]'::vector, '[1,2,3]'::vector, 1);

-- Many at once
SELECT engram_cosine_batch(q.v, array_agg(i.v ORDER BY id)) = engram_cosine_batch(q.r, array_agg(i.r ORDER BY id)) AS batch_of_vector,
    engram_cosine_batch(q.h, array_agg(i.h ORDER BY id)) = engram_cosine_batch(q.s, array_agg(i.s ORDER BY id)) AS batch_of_halfvec
FROM query AS q, item AS i WHERE i.v IS NOT NULL GROUP BY q.v, q.h, q.r, q.s;
SELECT engram_cosine_matrix(array_agg(v ORDER BY id), array_agg(v ORDER BY id)) = engram_cosine_matrix(array_agg(r ORDER BY id), array_agg(r ORDER BY id)) AS matrix_of_vector,
    engram_cosine_matrix(array_agg(h ORDER BY id), array_agg(h ORDER BY id)) = engram_cosine_matrix(array_agg(s ORDER BY id), array_agg(s ORDER BY id)) AS matrix_of_halfvec
FROM item WHERE id BETWEEN 3 AND 40;
SELECT array_agg(t.v) = array_agg(t.r) AS topk_of_vector, array_agg(t.h) = array_agg(t.s) AS topk_of_halfvec
FROM (SELECT array_agg(v ORDER BY id) AS vs, array_agg(r ORDER BY id) AS rs, array_agg(h ORDER BY id) AS hs, array_agg(s ORDER BY id) AS ss FROM item WHERE v IS NOT NULL) AS a,
    item AS q, LATERAL (SELECT engram_topk(q.v, vs, 5)::text AS v, engram_topk(q.r, rs, 5)::text AS r, engram_topk(q.h, hs, 5)::text AS h, engram_topk(q.s, ss, 5)::text AS s) AS t
WHERE q.id = 7;
SELECT engram_cosine_batch('[1,2]'::vector, '{}'::vector[]) AS none;
SELECT engram_cosine_batch('[1,2]'::vector, ARRAY['[1,2,3]']::vector[]);
SELECT engram_cosine_batch('[1,2]'::vector, ARRAY['[1,2]', '[1,2,3]']::vector[]);
SELECT engram_cosine_batch('[1,2]'::halfvec, ARRAY['[1,2]', NULL]::halfvec[]);

-- The nearest of each query, by row and by SQL
SELECT metric,
    engram_nearest(id, v, (SELECT array_agg(v) FROM query), 4, metric) = engram_nearest(id, r, (SELECT array_agg(r) FROM query), 4, metric) AS of_vector,
    engram_nearest(id, h, (SELECT array_agg(h) FROM query), 4, metric) = engram_nearest(id, s, (SELECT array_agg(s) FROM query), 4, metric) AS of_halfvec,
    engram_nearest(u, v, (SELECT array_agg(v) FROM query), 4, metric) = engram_nearest(u, r, (SELECT array_agg(r) FROM query), 4, metric) AS by_uuid
FROM item, unnest('{cosine,l2,inner_product}'::text[]) AS metric GROUP BY metric ORDER BY metric;
SELECT engram_nearest(id, v, ARRAY['[1,2]']::vector[], 4) FROM item;
SELECT count(*) FROM engram_knn_join('SELECT id::bigint, v FROM item', 'SELECT id::bigint, v FROM item', 3) AS a
    FULL JOIN engram_knn_join('SELECT id::bigint, r FROM item', 'SELECT id::bigint, r FROM item', 3) AS b USING (query_id, rank)
WHERE a.target_id IS DISTINCT FROM b.target_id OR a.distance IS DISTINCT FROM b.distance;
SELECT count(*) FROM engram_knn_join('SELECT id::bigint, h FROM item', 'SELECT id::bigint, v FROM item', 3, metric => 'l2') AS a
    FULL JOIN engram_knn_join('SELECT id::bigint, s FROM item', 'SELECT id::bigint, r FROM item', 3, metric => 'l2') AS b USING (query_id, rank)
WHERE a.target_id IS DISTINCT FROM b.target_id OR a.distance IS DISTINCT FROM b.distance;
SELECT * FROM engram_knn_join('SELECT id::bigint, u FROM item', 'SELECT id::bigint, v FROM item', 3);

-- In slices
SELECT engram_knn_join_create('sliced', 'SELECT id, h FROM item', 'SELECT id, v FROM item', 3, slice_rows => 100, metric => 'l2') > 1 AS slices;
CALL engram_knn_join_run('sliced');
SELECT count(*) FROM sliced FULL JOIN engram_knn_join('SELECT id, s FROM item', 'SELECT id, r FROM item', 3, metric => 'l2') AS b USING (query_id, rank)
WHERE sliced.target_id IS DISTINCT FROM b.target_id OR sliced.distance IS DISTINCT FROM b.distance;
DROP TABLE sliced, sliced_slices, sliced_terms;

-- Every half there is, as engramk widens it and as pgvector does
CREATE TABLE half AS
SELECT e * sign AS id, array_agg((sign * CASE e WHEN 0 THEN m * 2::float8 ^ -24 ELSE (1 + m / 1024.0) * 2::float8 ^ (e - 15) END)::real ORDER BY m)::halfvec AS h
FROM generate_series(0, 30) AS e, generate_series(0, 1023) AS m, unnest('{1,-1}'::int[]) AS sign WHERE e > 0 OR sign > 0 GROUP BY e, sign;
SELECT count(*), count(DISTINCT query_id), max(distance) FROM engram_knn_join('SELECT id::bigint, h FROM half', 'SELECT id::bigint, h::real[] FROM half', 1, metric => 'l2')
WHERE query_id = target_id;

-- Which operator and which function is meant
CREATE FUNCTION meaning(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ' || expression || ' FROM functions.item' INTO plan;
    RETURN regexp_replace(plan->0->'Plan'->'Output'->>0, '''[^'']*''', '''...''');
EXCEPTION WHEN ambiguous_function OR undefined_function THEN
    RETURN SQLERRM;
END $$;
SELECT expression, meaning(expression) FROM unnest(ARRAY[
    'v <=> ''[1,2,3,4,5,6,7]''', 'v <=> ''[1,2,3,4,5,6,7]''::vector', 'h <=> ''[1,2,3,4,5,6,7]''::vector', 'v <=> ''{1,2,3,4,5,6,7}''::real[]',
    'r <=> ''[1,2,3,4,5,6,7]''::vector', 'r <=> ''{1,2,3,4,5,6,7}''', '''[1,2]'' <=> ''[3,4]''', 'h <=> ''{1,2,3,4,5,6,7}''::real[]',
    'v <=> ARRAY[0.1,0.2]', 'v <=> ARRAY[1,2]', 'v <=> ''{1,2}''::float8[]', 'v <=> ''[1,2]''::halfvec',
    'engram_cosine_within(v, ''[1,2,3,4,5,6,7]'', 1)', 'engram_cosine_within(r, ''{1,2,3,4,5,6,7}'', 1)', 'engram_cosine_within(''{1}'', ''{1}'', 1)',
    'engram_topk(''{1}'', ''{1}'', 1)', 'engram_norm(v)', 'engram_norm(h)']) AS expression;
