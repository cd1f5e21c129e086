-- engram_nearest_merge: lists of the k nearest of several parts, merged, are those of
-- engram_nearest over all parts at once, match by match and bit by bit.
SET client_min_messages = warning;
SET extra_float_digits = 1;

-- 3,000 vectors of 12 dimensions in parts of very different sizes; every tenth has twins in
-- other parts, so that ties go across lists
CREATE TEMPORARY TABLE target (id bigint, name uuid, part integer, v real[]);
INSERT INTO target
    SELECT i, md5(i::text)::uuid, floor(log(2, 1 + abs(i) % 257)),
        (SELECT array_agg(sin((i / 10 * 10 + (i % 10 > 3)::integer * i % 10) * 12.9898 + j * 78.233)::real ORDER BY j)
         FROM generate_series(1, 12) AS j)
    FROM generate_series(-1500, 1499) AS i;
CREATE TEMPORARY TABLE query AS
    SELECT array_agg(v ORDER BY id) AS vectors FROM target WHERE id % 100 = 7;

-- How many matches differ, of so many nearest by each metric
CREATE FUNCTION differences(k integer, metric text, id text, part text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format($query$
        WITH whole AS (
            SELECT place, query, id, float8send(distance) AS bits
            FROM unnest((SELECT engram_nearest(%1$I, v, vectors, %2$s, %3$L) FROM target, query))
                WITH ORDINALITY AS m(query, id, distance, place)),
        merged AS (
            SELECT place, query, id, float8send(distance) AS bits
            FROM unnest((SELECT engram_nearest_merge(matches, %2$s) FROM (
                    SELECT engram_nearest(%1$I, v, vectors, %2$s, %3$L) AS matches
                    FROM target, query GROUP BY %4$s) AS lists))
                WITH ORDINALITY AS m(query, id, distance, place))
        SELECT count(*) + 1000000 * (SELECT (count(*) = 0)::integer FROM whole)
        FROM whole FULL JOIN merged USING (place)
        WHERE (whole.query, whole.id, whole.bits) IS DISTINCT FROM (merged.query, merged.id, merged.bits)
        $query$, id, k, metric, part) INTO result;
    RETURN result;
END $$;
SELECT k, metric, differences(k, metric, 'id', 'part') AS parts, differences(k, metric, 'id', 'id') AS rows,
    differences(k, metric, 'name', 'part') AS uuid
FROM (VALUES (1), (10), (400), (2147483647)) AS n(k), (VALUES ('cosine'), ('inner_product'), ('l2'), ('l1')) AS m(metric)
WHERE k < 400 OR metric = 'l2'
ORDER BY k, metric;

-- One merge more, of what was merged of parts: nothing changes.
SELECT md5(engram_nearest_merge(matches, 10)::text) = (
        SELECT md5(engram_nearest(id, v, vectors, 10)::text) FROM target, query) AS merged_twice
FROM (SELECT engram_nearest_merge(matches, 10) AS matches
    FROM (SELECT part, engram_nearest(id, v, vectors, 10) AS matches FROM target, query GROUP BY part) AS list
    GROUP BY part % 3) AS merged;

-- In workers, whose states travel
CREATE TABLE list AS
    SELECT part, engram_nearest(id, v, vectors, 10) AS matches FROM target, query GROUP BY part, id % 20;
ANALYZE list;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
EXPLAIN (COSTS OFF) SELECT engram_nearest_merge(matches, 10) FROM list;
SELECT md5(engram_nearest_merge(matches, 10)::text) = (
        SELECT md5(engram_nearest(id, v, vectors, 10)::text) FROM target, query) AS in_workers
FROM list;
SELECT count(*) AS groups, count(*) FILTER (WHERE merged.matches = whole.matches) AS equal
FROM (SELECT part, engram_nearest_merge(matches, 10) AS matches FROM list GROUP BY part) AS merged
    JOIN (SELECT part, engram_nearest(id, v, vectors, 10) AS matches FROM target, query GROUP BY part) AS whole
    USING (part);
RESET max_parallel_workers_per_gather;
DROP TABLE list;

-- By partition, where PostgreSQL is told to look at each on its own
CREATE TABLE divided (id bigint, v real[]) PARTITION BY RANGE (id);
CREATE TABLE divided_1 PARTITION OF divided FOR VALUES FROM (MINVALUE) TO (0);
CREATE TABLE divided_2 PARTITION OF divided FOR VALUES FROM (0) TO (MAXVALUE);
INSERT INTO divided SELECT id, v FROM target;
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT engram_nearest(id, v, '{1,0,0,0,0,0,0,0,0,0,0,0}', 10), engram_avg(v), engram_sum(v) FROM divided;
CREATE TEMPORARY TABLE result AS
    SELECT 'by partition' AS plan, engram_nearest(id, v, '{1,0,0,0,0,0,0,0,0,0,0,0}', 10) AS nearest,
        engram_avg(v) AS avg, engram_sum(v) AS sum FROM divided;
SET enable_partitionwise_aggregate = off;
INSERT INTO result
    SELECT 'at once', engram_nearest(id, v, '{1,0,0,0,0,0,0,0,0,0,0,0}', 10), engram_avg(v), engram_sum(v) FROM target;
SELECT count(*) AS plans, count(DISTINCT nearest) AS nearest, count(DISTINCT avg) AS avg, count(DISTINCT sum) AS sum
FROM result;
RESET max_parallel_workers_per_gather;
DROP TABLE divided;

-- What there is little of
SELECT engram_nearest_merge(matches, 2) AS no_rows FROM (SELECT NULL::engram_match[] AS matches WHERE false) AS none;
SELECT engram_nearest_merge(matches, 2) AS no_lists FROM (VALUES (NULL::engram_match[]), (NULL)) AS none(matches);
SELECT engram_nearest_merge(matches, 2) AS empty_lists FROM (VALUES ('{}'::engram_match[]), (NULL)) AS none(matches);
SELECT engram_nearest_merge(matches, NULL) AS no_k FROM (VALUES ('{"(1,7,0.5)"}'::engram_match[])) AS one(matches);
-- any number of a query, any shape of the array, any order; the same row twice is there twice
SELECT engram_nearest_merge(matches, 2)
FROM (VALUES ('{"(2147483647,7,0.5)","(3,-9223372036854775808,1e308)"}'::engram_match[]),
    ('{{"(3,9223372036854775807,-1e308)","(2147483647,7,0.5)"},{"(3,1,-1e308)","(2147483647,6,0.5)"}}')) AS l(matches);
SELECT engram_nearest_merge(matches, 2) AS uuid
FROM (VALUES ('{"(1,00000000-0000-0000-0000-000000000002,0.5)","(1,ffffffff-ffff-ffff-ffff-ffffffffffff,0.5)"}'::engram_uuid_match[]),
    ('{"(1,00000000-0000-0000-0000-000000000001,0.5)"}')) AS l(matches);

-- What is no list, or not of this k
SELECT engram_nearest_merge('{NULL}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(0,7,0.5)"}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(,7,0.5)"}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(1,,0.5)"}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(1,7,)"}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(1,7,NaN)"}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(1,7,infinity)"}'::engram_match[], 2);
SELECT engram_nearest_merge('{"(1,7,1)"}'::engram_match[], 0);
SELECT engram_nearest_merge('{}'::engram_match[], k) FROM generate_series(1, 2) AS k;
SELECT engram_nearest_merge('{}'::engram_match[], k) FROM (VALUES (1), (NULL)) AS n(k);
