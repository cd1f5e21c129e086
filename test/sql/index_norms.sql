-- Vectors and queries of every length that a float can hold, beside each other: a
-- coarse code keeps lengths as floats, and those that would not do, shorter than
-- 2^-30 or longer than 2^30, in another way.  No row is lost, with any operator.
CREATE SCHEMA index_norms;
SET search_path = index_norms, public;
SET jit = off;
\set ECHO none
\i test/index/vector_type.sql
\set ECHO all

-- Two thousand vectors in few directions, so that a basis is worth it; of lengths
-- from 2^-140 to 2^120, and next to the limits; and some zero vectors.
CREATE FUNCTION vector(i int, exponent float8) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    WITH u AS (SELECT j, sin(i * (j % 4 + 1)) * 10 / (j / 4 + 1) + sin(i * 7.3 + j) AS e FROM generate_series(0, 39) AS j)
    SELECT array_agg(CASE WHEN abs(x) > 1e-44 THEN x ELSE 0 END::real ORDER BY j)
    FROM u, LATERAL (SELECT e / (SELECT sqrt(sum(e * e)) FROM u) * 2::float8 ^ exponent) AS scaled(x)
$$;
CREATE TABLE item (id int, v vec) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT i, as_vec(vector(i, (ARRAY[-140, -100, -60, -31, -30.0000002, -30, -29.9999998, -10, -1, 0, 0, 0, 0, 1, 10, 29.9999998, 30, 30.0000002, 31, 60, 100, 120])[1 + i % 22]))
FROM generate_series(1, 2000) AS i;
INSERT INTO item SELECT i, array_fill(0::real, ARRAY[40]) FROM generate_series(2001, 2020) AS i;
CREATE INDEX item_v ON item USING engramk (v);
INSERT INTO item SELECT i, as_vec(vector(i, i % 240 - 120)) FROM generate_series(2021, 3000) AS i;
SELECT engram_index_check('item_v'), basis > 0 AS has_basis FROM engram_index_info('item_v');

CREATE TABLE query AS
SELECT name, as_vec(q) AS q FROM (
    SELECT exponent || CASE WHEN i < 0 THEN ' opposite' ELSE '' END AS name, vector(abs(i), exponent + CASE WHEN i < 0 THEN 0.5 ELSE 0 END) AS q
    FROM unnest(ARRAY[-140, -100, -31, -30.0000002, -30, -29, -1, 0, 1, 29, 30, 30.0000002, 31, 100, 120]) AS exponent, unnest(ARRAY[15, 5000]) AS i
    UNION ALL SELECT 'zero', array_fill(0::real, ARRAY[40])
    UNION ALL SELECT 'opposite', ARRAY(SELECT -e FROM unnest(vector(15, 0)) WITH ORDINALITY AS u(e, n) ORDER BY n)
) AS x;

\i test/index/right.sql
SELECT * FROM wrong('item', '{1,20,500}');
SET engramk.arena_size = '64kB';
SELECT * FROM wrong('item', '{20,3000}');
RESET engramk.arena_size;
SET engramk.simd = off;
SELECT * FROM wrong('item', '{1,20}');
RESET engramk.simd;

-- An index of nothing but zero vectors; and one of zero vectors beside one that is not
CREATE TABLE zero (id int, v vec);
INSERT INTO zero SELECT i, array_fill(0::real, ARRAY[40]) FROM generate_series(1, 1000) AS i;
CREATE INDEX zero_v ON zero USING engramk (v);
SELECT engram_index_check('zero_v');
INSERT INTO zero VALUES (1001, as_vec(vector(1, 0))), (1002, as_vec(vector(2, -40)));
SET enable_seqscan = off;
SELECT id FROM zero ORDER BY v <=> as_vec(vector(1, 3)) LIMIT 1;
SELECT id FROM zero ORDER BY v <#> as_vec(vector(1, 60)) LIMIT 1;
SELECT id FROM zero ORDER BY v <-> as_vec(vector(1, 0)) LIMIT 1;
SELECT count(*), count(DISTINCT d) FROM (SELECT v <=> as_vec(vector(1, 3)) AS d FROM zero ORDER BY v <=> as_vec(vector(1, 3))) AS x;
REINDEX INDEX zero_v;
SELECT id FROM zero ORDER BY v <-> as_vec(vector(2, -40)) LIMIT 1 OFFSET 1001;
SELECT engram_index_check('zero_v');

SET client_min_messages = warning;
DROP SCHEMA index_norms CASCADE;
