-- What the declarations of the functions are good for: a distance in a target
-- list waits for the LIMIT, parallel plans are possible and give the same
-- answers, and what is IMMUTABLE can be indexed, generated and checked.
CREATE SCHEMA plans;
SET search_path = plans, public;

-- Everything about vectors is immutable, strict and parallel safe; what is
-- about the backend is not.
SELECT provolatile, proparallel, proisstrict, proleakproof, count(*) > 1 AS several,
       array_agg(p.oid::regprocedure::text ORDER BY p.oid::regprocedure::text COLLATE "C") FILTER (WHERE pronargs = 0) AS without_argument
FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
     JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND extname = 'engramk'
WHERE proname IN ('engram_cosine', 'engram_cosine_distance', 'engram_inner_product', 'engram_negative_inner_product', 'engram_l2_distance',
                  'engram_l1_distance', 'engram_norm', 'engram_normalize', 'engram_is_valid', 'engram_cosine_batch', 'engram_topk',
                  'engram_simd_info', 'engram_arena_stats')
GROUP BY 1, 2, 3, 4 ORDER BY 1;

CREATE TABLE item (id int PRIMARY KEY, price int, embedding real[]);
INSERT INTO item
SELECT id, (id * 7919) % 1000, array(SELECT ((id * 31 + i * i * 17) % 101 - 50)::real FROM generate_series(1, 24) AS i)
FROM generate_series(1, 5000) AS id;
ANALYZE item;

-- Result above Sort, and there the distance: it is computed for 5 rows.
SET max_parallel_workers_per_gather = 0;
EXPLAIN (COSTS OFF, VERBOSE)
SELECT id, embedding <=> '{1,2,3}' AS distance FROM item ORDER BY price LIMIT 5;
-- The same, shown by what happens: all but five rows would raise an error.
CREATE TABLE mostly_bad AS
SELECT id, CASE WHEN id <= 5 THEN '{1,2}'::real[] ELSE '{1,2,3}' END AS embedding FROM generate_series(1, 1000) AS id;
ANALYZE mostly_bad;
SELECT id, embedding <-> '{1,0}' AS distance, engram_normalize(embedding) <=> '{2,4}' < 1e-7 AS same_way FROM mostly_bad ORDER BY id LIMIT 5;
-- Where it is the order, it cannot wait.
EXPLAIN (COSTS OFF)
SELECT id FROM item ORDER BY embedding <-> '{1,2,3}' LIMIT 5;
-- A cheap condition is looked at first, wherever it stands.
EXPLAIN (COSTS OFF)
SELECT id FROM item WHERE embedding <-> '{1,2,3}' < 1 AND price = 1;
-- Two constants are folded when planning.
EXPLAIN (COSTS OFF, VERBOSE) SELECT '{3,4}'::real[] <-> '{0,0}' AS distance, engram_normalize('{3,4}') AS unit;

-- In parallel: the plan, and the same rows and bits.
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
CREATE VIEW nearest AS
SELECT id, float8send(embedding <=> (SELECT embedding FROM item WHERE id = 77)) AS cosine,
       float8send(embedding <-> (SELECT embedding FROM item WHERE id = 77)) AS l2
FROM item ORDER BY embedding <=> (SELECT embedding FROM item WHERE id = 77), id LIMIT 100;
CREATE VIEW summary AS
SELECT count(*) AS rows, min(embedding <=> q) AS nearest, max(embedding <-> q) AS farthest,
       sum((embedding <+> q)::numeric) AS l1, sum((embedding <#> q)::numeric) AS negative,
       count(*) FILTER (WHERE engram_is_valid(embedding)) AS valid,
       max(engram_norm(embedding)) AS norm, max(engram_cosine_batch(q, embedding)) AS batch
FROM item, (VALUES (array_fill(1::real, ARRAY[24]))) AS v(q);

CREATE TABLE one_worker AS SELECT row_number() OVER () AS n, nearest.* FROM nearest;
CREATE TABLE one_worker_summary AS SELECT * FROM summary;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE item SET (parallel_workers = 2);
EXPLAIN (COSTS OFF)
SELECT id FROM item ORDER BY embedding <=> '{1,2,3}', id LIMIT 10;
EXPLAIN (COSTS OFF)
SELECT count(*) FROM item WHERE engram_cosine(embedding, '{1,2,3}') > 0.5 AND engram_is_valid(embedding);
-- What tells of this backend stays in it.
EXPLAIN (COSTS OFF)
SELECT count(*) FROM item WHERE engram_arena_stats() IS NOT NULL;
SELECT count(*) AS rows, count(*) FILTER (WHERE a IS DISTINCT FROM b) AS different
FROM (SELECT row_number() OVER () AS n, nearest.* FROM nearest) AS a FULL JOIN one_worker AS b USING (n);
SELECT rows, valid, summary = one_worker_summary AS same FROM summary JOIN one_worker_summary USING (rows, valid);
-- A worker runs the level of its leader.
SET engramk.simd = off;
SELECT rows, valid, summary = one_worker_summary AS same_when_off FROM summary JOIN one_worker_summary USING (rows, valid);
RESET engramk.simd;
-- An error in a worker is the same error.
\set VERBOSITY sqlstate
SELECT count(*) FROM mostly_bad WHERE embedding <-> '{1,2,3,4}' < 1;
\set VERBOSITY default
RESET max_parallel_workers_per_gather;
RESET min_parallel_table_scan_size;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;

-- An index on an expression.
CREATE INDEX item_norm ON item (engram_norm(embedding));
CREATE INDEX item_to_origin ON item ((embedding <+> '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}'));
CREATE INDEX item_valid ON item (id) WHERE engram_is_valid(embedding);
ANALYZE item;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE engram_norm(embedding) < 100;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY embedding <+> '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}' LIMIT 3;
CREATE TABLE by_index AS SELECT id FROM item WHERE engram_norm(embedding) < 143;
RESET enable_seqscan;
RESET enable_bitmapscan;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT count(*) BETWEEN 1 AND 4999 AS some_but_not_all, count(*) FILTER (WHERE i.id IS NULL OR s.id IS NULL) AS different
FROM by_index AS i FULL JOIN (SELECT id FROM item WHERE engram_norm(embedding) < 143) AS s USING (id);
RESET enable_indexscan;
RESET enable_bitmapscan;

-- A check constraint, which turns away what is no vector, whatever is wrong with it.
CREATE TABLE checked (
    id int PRIMARY KEY,
    embedding real[] NOT NULL CHECK (engram_is_valid(embedding)) CHECK (array_length(embedding, 1) = 2)
);
INSERT INTO checked VALUES (1, '{3,4}'), (2, '{0,0}'), (3, '[7:8]={0,2}');
\set VERBOSITY sqlstate
INSERT INTO checked VALUES (4, '{1,NaN}');
INSERT INTO checked VALUES (4, '{1,NULL}');
INSERT INTO checked VALUES (4, '{{1,2}}');
INSERT INTO checked VALUES (4, '{}');
INSERT INTO checked VALUES (4, '{1,2,3}');
UPDATE checked SET embedding = '{1,Infinity}' WHERE id = 1;
\set VERBOSITY default

-- Generated columns.
CREATE TABLE generated (
    id int PRIMARY KEY,
    embedding real[],
    norm double precision GENERATED ALWAYS AS (engram_norm(embedding)) STORED,
    unit real[] GENERATED ALWAYS AS (engram_normalize(embedding)) STORED
);
INSERT INTO generated SELECT * FROM checked;
UPDATE generated SET embedding = '{6,8}' WHERE id = 1;
INSERT INTO generated VALUES (4, NULL);
INSERT INTO generated VALUES (5, '{1,NaN}');
SELECT id, norm, unit FROM generated ORDER BY id;

-- A materialized view of neighbours, and a window over distances.
CREATE MATERIALIZED VIEW neighbour AS
SELECT q.id AS query, c.id AS candidate, q.embedding <=> c.embedding AS distance,
       row_number() OVER (PARTITION BY q.id ORDER BY q.embedding <=> c.embedding, c.id) AS rank
FROM item AS q, item AS c WHERE q.id <= 20 AND c.id <= 200;
REFRESH MATERIALIZED VIEW neighbour;
SELECT count(*) AS rows, count(*) FILTER (WHERE n.distance IS DISTINCT FROM l.distance) AS different,
       bool_and(n.distance = 0) FILTER (WHERE rank = 1) AS nearest_is_itself_or_its_twin
FROM neighbour AS n,
     LATERAL (SELECT q.embedding <=> c.embedding AS distance FROM item AS q, item AS c
              WHERE q.id = n.query AND c.id <= 200 ORDER BY 1, c.id OFFSET n.rank - 1 LIMIT 1) AS l
WHERE rank <= 5;

SET client_min_messages = warning;
DROP SCHEMA plans CASCADE;
