-- What every operation means, checked against arithmetic that is not ours:
-- PostgreSQL's numeric where the result is exact, and the definition of the
-- sums (sixteen lanes, a fixed tree) written out in PL/pgSQL where it is not.
CREATE SCHEMA operators;
SET search_path = operators, public;

-- Cases that a reader can check in their head.
SELECT engram_norm('{3,4}') AS norm,
       engram_inner_product('{1,2,3}', '{4,5,6}') AS dot,
       '{1,2,3}'::real[] <#> '{4,5,6}' AS negative,
       '{1,2,3}'::real[] <+> '{4,6,8}' AS l1,
       '{1,2}'::real[] <-> '{4,6}' AS l2,
       engram_cosine('{1,1}', '{1,0}') = 1 / sqrt(2::float8) AS cosine_45_degrees;
SELECT engram_cosine('{1,0}', '{5,0}') AS same_way,
       engram_cosine('{1,0}', '{0,5}') AS across,
       engram_cosine('{1,0}', '{-5,0}') AS opposite,
       '{1,0}'::real[] <=> '{5,0}' AS d_same_way,
       '{1,0}'::real[] <=> '{0,5}' AS d_across,
       '{1,0}'::real[] <=> '{-5,0}' AS d_opposite;

-- Quarters between -250 and 250: every product, difference and sum is exact.
CREATE TABLE quarters AS
SELECT id, 1 + id % 67 AS dims,
       (SELECT array_agg((((i * 7919 + id * 104729) % 2001 - 1000) / 4.0)::real ORDER BY i)
        FROM generate_series(1, 1 + id % 67) AS i) AS a,
       (SELECT array_agg((((i * i * 31 + id * 15485863::bigint) % 2001 - 1000) / 4.0)::real ORDER BY i)
        FROM generate_series(1, 1 + id % 67) AS i) AS b
FROM generate_series(1, 300) AS id;

-- numeric's square root gives as many digits as its argument has: 60 of them
-- are enough to round to the nearest double.
CREATE TABLE exact AS
SELECT id, sum(x * y) AS dot, sum(abs(x - y)) AS l1,
       sqrt(round(sum((x - y) * (x - y)), 60)) AS l2,
       sum(x * x) AS norm2_a, sum(y * y) AS norm2_b
FROM quarters, LATERAL unnest(a::numeric[], b::numeric[]) AS e(x, y)
GROUP BY id;

SELECT count(*) AS pairs, count(DISTINCT dims) AS lengths,
       count(*) FILTER (WHERE dot < 0) > 50 AS some_negative,
       count(*) FILTER (WHERE dot > 0) > 50 AS some_positive,
       count(*) FILTER (WHERE engram_inner_product(a, b) IS DISTINCT FROM dot::float8) AS wrong_dot,
       count(*) FILTER (WHERE a <#> b IS DISTINCT FROM (- dot)::float8) AS wrong_negative,
       count(*) FILTER (WHERE a <+> b IS DISTINCT FROM l1::float8) AS wrong_l1,
       count(*) FILTER (WHERE a <-> b IS DISTINCT FROM l2::float8) AS wrong_l2,
       count(*) FILTER (WHERE engram_norm(a) IS DISTINCT FROM sqrt(round(norm2_a, 60))::float8) AS wrong_norm
FROM quarters JOIN exact USING (id);

-- A cosine rounds twice, the root and the quotient: exactly so, and therefore
-- within one unit in the last place of the true value.
SELECT count(*) FILTER (WHERE engram_cosine(a, b) IS DISTINCT FROM
                        dot::float8 / sqrt(round(norm2_a * norm2_b, 60))::float8) AS wrong_cosine,
       count(*) FILTER (WHERE a <=> b IS DISTINCT FROM 1 - engram_cosine(a, b)) AS wrong_distance,
       max(abs(engram_cosine(a, b) - (dot / sqrt(round(norm2_a * norm2_b, 60)))::float8)) <= 2 ^ -52 AS close
FROM quarters JOIN exact USING (id);

-- The definition of a sum.  PostgreSQL's float8 arithmetic rounds each
-- operation on its own, as the definition wants.
CREATE FUNCTION sixteen_lanes(terms float8[]) RETURNS float8
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    lane float8[] := array_fill(0::float8, ARRAY[16]);
    half int := 8;
BEGIN
    FOR i IN 1 .. cardinality(terms) LOOP
        lane[(i - 1) % 16 + 1] := lane[(i - 1) % 16 + 1] + terms[i];
    END LOOP;
    WHILE half > 0 LOOP
        FOR j IN 1 .. half LOOP
            lane[j] := lane[j] + lane[j + half];
        END LOOP;
        half := half / 2;
    END LOOP;
    RETURN lane[1];
END $$;

-- Exponents over the whole range of real, so that the order of the sums matters.
SELECT setseed(0.125) IS NOT NULL AS seeded;
CREATE FUNCTION wild_vector(dims int, exponents int) RETURNS real[]
LANGUAGE sql VOLATILE AS $$
    SELECT array_agg(((random() - 0.5) * 2::float8 ^ floor((random() - 0.5) * exponents))::real ORDER BY i)
    FROM generate_series(1, dims) AS i
$$;
CREATE TABLE wild AS
SELECT id, wild_vector(dims, exponents) AS a, wild_vector(dims, exponents) AS b
FROM generate_series(1, 400) AS id,
     LATERAL (SELECT CASE WHEN id % 40 = 0 THEN 1000 + id ELSE 1 + id % 97 END,
                     (ARRAY[1, 8, 60, 240])[1 + id % 4]) AS shape(dims, exponents);
CREATE TABLE defined AS
SELECT id, sixteen_lanes(array_agg(x * y ORDER BY i)) AS dot,
       sixteen_lanes(array_agg(abs(x - y) ORDER BY i)) AS l1,
       sqrt(sixteen_lanes(array_agg((x - y) * (x - y) ORDER BY i))) AS l2,
       sixteen_lanes(array_agg(x * x ORDER BY i)) AS norm2_a,
       sixteen_lanes(array_agg(y * y ORDER BY i)) AS norm2_b,
       sum(x * y ORDER BY i) AS plain_dot
FROM wild, LATERAL unnest(a::float8[], b::float8[]) WITH ORDINALITY AS e(x, y, i)
GROUP BY id;
SELECT count(*) AS pairs,
       count(*) FILTER (WHERE plain_dot <> dot) > 50 AS order_matters,
       count(*) FILTER (WHERE engram_inner_product(a, b) IS DISTINCT FROM dot) AS wrong_dot,
       count(*) FILTER (WHERE a <#> b IS DISTINCT FROM 0 - dot) AS wrong_negative,
       count(*) FILTER (WHERE a <+> b IS DISTINCT FROM l1) AS wrong_l1,
       count(*) FILTER (WHERE a <-> b IS DISTINCT FROM l2) AS wrong_l2,
       count(*) FILTER (WHERE engram_norm(a) IS DISTINCT FROM sqrt(norm2_a)) AS wrong_norm,
       count(*) FILTER (WHERE engram_cosine(a, b) IS DISTINCT FROM
                        greatest(-1, least(1, dot / sqrt(norm2_a * norm2_b)))) AS wrong_cosine,
       count(*) FILTER (WHERE a <=> b IS DISTINCT FROM 1 - engram_cosine(a, b)) AS wrong_distance
FROM wild JOIN defined USING (id);

-- Each operator is its function, and its own commutator.
SELECT oprname, oprcode, oprcom = oid AS own_commutator, oprresult::regtype
FROM pg_operator
WHERE oprleft = 'real[]'::regtype AND oprright = 'real[]'::regtype AND oprcode::text LIKE 'engram%'
ORDER BY oprname COLLATE "C";
SELECT count(*) FILTER (WHERE a <=> b IS DISTINCT FROM b <=> a) AS cosine_asymmetric,
       count(*) FILTER (WHERE a <#> b IS DISTINCT FROM b <#> a) AS dot_asymmetric,
       count(*) FILTER (WHERE a <-> b IS DISTINCT FROM b <-> a) AS l2_asymmetric,
       count(*) FILTER (WHERE a <+> b IS DISTINCT FROM b <+> a) AS l1_asymmetric
FROM wild;

-- A vector is as similar to itself as can be, exactly; and to its opposite.
CREATE VIEW opposite AS
SELECT a, (SELECT array_agg(- x ORDER BY i) FROM unnest(a) WITH ORDINALITY AS e(x, i)) AS o FROM wild;
SELECT count(*) FILTER (WHERE engram_cosine(a, a) <> 1) AS self_not_1,
       count(*) FILTER (WHERE a <=> a <> 0 OR a <-> a <> 0 OR a <+> a <> 0) AS self_not_0,
       count(*) FILTER (WHERE engram_cosine(a, o) <> -1 OR a <=> o <> 2) AS opposite_not_minus_1,
       count(*) FILTER (WHERE a <-> o <> 2 * engram_norm(a)) AS opposite_not_twice_as_far
FROM opposite;

-- Length does not matter to a cosine; a power of two not even to its last bit.
-- A third does, and must not lead it out of its range.
CREATE VIEW scaled AS
SELECT a, b, (SELECT array_agg((x * 4)::real ORDER BY i) FROM unnest(a) WITH ORDINALITY AS e(x, i)) AS fourfold,
       (SELECT array_agg((x / 3)::real ORDER BY i) FROM unnest(a) WITH ORDINALITY AS e(x, i)) AS third
FROM wild WHERE id % 4 IN (0, 1);
SELECT count(*) FILTER (WHERE engram_cosine(fourfold, b) <> engram_cosine(a, b)) AS scale_matters,
       bool_and(engram_cosine(third, a) BETWEEN 0.999999 AND 1) AS third_in_range,
       bool_and(third <=> a BETWEEN 0 AND 0.000001) AS distance_in_range
FROM scaled;
SELECT bool_and(engram_cosine(x.a, y.b) BETWEEN -1 AND 1) AS cosine_in_range,
       bool_and(x.a <=> y.b BETWEEN 0 AND 2) AS distance_in_range,
       bool_and(x.a <-> y.b >= 0 AND x.a <+> y.b >= x.a <-> y.b) AS l1_not_below_l2,
       count(*) > 1000 AS pairs
FROM wild AS x JOIN wild AS y ON array_length(x.a, 1) = array_length(y.b, 1);

-- A zero vector is similar to nothing, itself included.
SELECT name, engram_cosine('{0,0,0}', v) AS cosine, engram_cosine(v, '{0,0,0}') AS other_way,
       '{0,0,0}'::real[] <=> v AS distance, '{0,-0,0}'::real[] <=> v AS minus_zero,
       '{0,0,0}'::real[] <#> v AS negative, '{0,0,0}'::real[] <-> v AS l2,
       '{0,0,0}'::real[] <+> v AS l1
FROM (VALUES (1, 'zero', '{0,0,0}'::real[]), (2, 'minus zero', '{-0,-0,-0}'),
             (3, 'some', '{2,-3,6}'), (4, 'tiny', '{1e-45,0,0}')) AS c(n, name, v)
ORDER BY n;

-- No result is ever -0: its bytes would not be those of 0.
SELECT float8send('-0'::float8) = '\x8000000000000000' AS seen_by_the_bytes,
       float8send('{0}'::real[] <#> '{5}') = '\x0000000000000000' AS negative_of_0,
       float8send('{-0}'::real[] <#> '{5}') = '\x0000000000000000' AS negative_of_minus_0,
       float8send('{1,-1}'::real[] <#> '{1,1}') = '\x0000000000000000' AS cancelled,
       float8send(engram_inner_product('{-0}', '{5}')) = '\x0000000000000000' AS dot,
       float8send(engram_cosine('{-0,1}', '{1,-0}')) = '\x0000000000000000' AS cosine,
       float8send('{-0}'::real[] <-> '{0}') = '\x0000000000000000' AS l2,
       float8send('{-0}'::real[] <+> '{0}') = '\x0000000000000000' AS l1,
       float8send(engram_norm('{-0}')) = '\x0000000000000000' AS norm;

-- The largest and the smallest numbers: no overflow, no underflow.
CREATE VIEW extreme AS
SELECT 3.4028235e38::real AS big, 1e-45::real AS tiny,
       ARRAY[3.4028235e38, 3.4028235e38]::real[] AS bigs, ARRAY[1e-45, 1e-45]::real[] AS tinies;
SELECT engram_cosine(bigs, bigs) AS big_big, engram_cosine(tinies, tinies) AS tiny_tiny,
       engram_cosine(ARRAY[big], ARRAY[tiny]) AS big_tiny, engram_cosine(ARRAY[- big], ARRAY[tiny]) AS minus_big_tiny,
       engram_inner_product(bigs, bigs) = 2 * (big::float8 * big) AS dot_big,
       engram_inner_product(tinies, tinies) = 2 * (tiny::float8 * tiny) AS dot_tiny,
       engram_norm(bigs) = sqrt(2 * (big::float8 * big)) AS norm_big,
       engram_norm(ARRAY[tiny]) = tiny::float8 AS norm_tiny,
       ARRAY[big] <-> ARRAY[- big] = 2 * big::float8 AS l2_big,
       ARRAY[big, big] <+> ARRAY[- big, - big] = 4 * big::float8 AS l1_big,
       ARRAY[tiny] <-> ARRAY[- tiny] = 2 * tiny::float8 AS l2_tiny
FROM extreme;
-- A square has 48 bits, so 32 of them a lane still add up exactly.
SELECT engram_norm(array_fill(big, ARRAY[256])) = 16 * big::float8 AS norm_of_many,
       engram_cosine(array_fill(big, ARRAY[4096]), array_fill(tiny, ARRAY[4096])) AS cosine_of_many
FROM extreme;

-- Normalizing: each element divided in double and rounded to real once.
SELECT engram_normalize('{3,4}') AS "3,4", engram_normalize('{0,-0}') AS zero,
       engram_normalize('{-7}') AS one, engram_normalize('[-1:0]={3,4}') AS lower_bound,
       engram_normalize(bigs) AS big, engram_normalize(tinies) AS tiny,
       engram_normalize(ARRAY[tiny, big]) AS both
FROM extreme;
SELECT count(*) FILTER (WHERE engram_normalize(a) IS DISTINCT FROM
                        (SELECT array_agg((x / engram_norm(a))::real ORDER BY i)
                         FROM unnest(a) WITH ORDINALITY AS e(x, i))) AS wrong,
       bool_and(engram_norm(engram_normalize(a)) BETWEEN 0.999999 AND 1.000001) AS of_length_1
FROM wild WHERE id % 4 IN (0, 1);

-- Validity is an answer, never an error.
SELECT engram_is_valid('{1,2}') AS plain, engram_is_valid('{0}') AS zero,
       engram_is_valid('{3.4e38,-0,1e-45}') AS extreme, engram_is_valid('[5:6]={1,2}') AS lower_bound,
       engram_is_valid('{}') AS empty, engram_is_valid('{{1,2}}') AS two_dimensional,
       engram_is_valid('{1,NULL}') AS has_null, engram_is_valid('{1,NaN}') AS nan,
       engram_is_valid('{Infinity,1}') AS infinity, engram_is_valid('{1,-Infinity}') AS minus_infinity,
       engram_is_valid(NULL) AS of_null;

-- NULL in, NULL out.
SELECT engram_cosine(NULL, '{1}') IS NULL AND engram_cosine('{1}', NULL) IS NULL AS cosine,
       engram_inner_product(NULL, '{1}') IS NULL AND engram_inner_product('{1}', NULL) IS NULL AS dot,
       (NULL::real[] <=> '{1}') IS NULL AND ('{1}'::real[] <=> NULL) IS NULL AS cosine_distance,
       (NULL::real[] <#> '{1}') IS NULL AND ('{1}'::real[] <#> NULL) IS NULL AS negative,
       (NULL::real[] <-> '{1}') IS NULL AND ('{1}'::real[] <-> NULL) IS NULL AS l2,
       (NULL::real[] <+> '{1}') IS NULL AND ('{1}'::real[] <+> NULL) IS NULL AS l1,
       engram_norm(NULL) IS NULL AS norm, engram_normalize(NULL) IS NULL AS normalize,
       engram_cosine_batch(NULL, '{1}') IS NULL AND engram_cosine_batch('{1}', NULL) IS NULL AS batch,
       (SELECT count(*) FROM engram_topk(NULL, '{1}', 1)) + (SELECT count(*) FROM engram_topk('{1}', NULL, 1)) +
       (SELECT count(*) FROM engram_topk('{1}', '{1}', NULL)) AS topk_rows;

-- Literals of other numbers become real[]; columns of float8[] must be cast.
SELECT ARRAY[1, 2, 2] <-> ARRAY[1.0, 2.0, 4.5] AS literals, '{1,2}'::real[] <+> ARRAY[1, 5] AS integers;
\set VERBOSITY sqlstate
SELECT '{1,2}'::float8[] <-> '{1,2}'::float8[];
\set VERBOSITY default

SET client_min_messages = warning;
DROP SCHEMA operators CASCADE;
