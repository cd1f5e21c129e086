-- engram_cosine_batch and engram_topk: the shapes of candidates, their order,
-- ties, sizes around a block, and that they say what the operator says.
CREATE SCHEMA batch;
SET search_path = batch, public;

-- Rows and flat, one and none.
SELECT engram_cosine_batch('{1,0}', '{{2,0},{0,3},{-4,0},{0,0}}') AS by_rows,
       engram_cosine_batch('{1,0}', '{2,0,0,3,-4,0,0,0}') AS flat,
       engram_cosine_batch('{1,0}', '{5,0}') AS one_flat,
       engram_cosine_batch('{1,0}', '{{5,0}}') AS one_row,
       engram_cosine_batch('{2}', '{1,-1,0}') AS one_dimension,
       engram_cosine_batch('{0,0}', '{1,0,0,1}') AS zero_query;
SELECT engram_cosine_batch('{1,0}', '{}') AS none,
       array_ndims(engram_cosine_batch('{1,0}', '{}')) AS dimensions_of_none,
       array_dims(engram_cosine_batch('{1,0}', '[4:7]={1,0,0,1}')) AS lower_bound_is_1,
       array_dims(engram_cosine_batch('[7:8]={1,0}', '[4:5][9:10]={{1,0},{0,1}}')) AS so_here;

-- Best first, ties by ordinal; no more rows than k or candidates.
SELECT * FROM engram_topk('{1,0}', '{{0,1},{3,4},{2,0},{-1,0},{5,0},{4,3}}', 4);
SELECT * FROM engram_topk('{1,0}', '{0,1,1,0}', 1000);
SELECT * FROM engram_topk('{1,0}', '{0,1,1,0}', 2147483647);
SELECT count(*) AS none FROM engram_topk('{1,0}', '{}', 3);
SELECT ordinal, similarity FROM engram_topk('{1}', array_fill(7::real, ARRAY[1000]), 5);
SELECT ordinal, similarity FROM engram_topk('{0}', '{1,2,3}', 2);
-- Equal for all their different lengths.
SELECT ordinal, similarity FROM engram_topk('{1}', '{0.1,-2,0.3,1e-45,3e38}', 5);

-- Called in the target list, and by column.
SELECT engram_topk('{1,0}', '{0,1,1,0}', 2);
SELECT (engram_topk('{1,0}', '{0,1,1,0}', 2)).*;
SELECT engram_topk('{1}', array_fill(1::real, ARRAY[100]), 50) LIMIT 2;

-- Many shapes: lengths around a block of 256 rows and around 1 MB of them.
-- Every third candidate repeats an earlier one, so that there are ties.
SELECT setseed(0.5) IS NOT NULL AS seeded;
CREATE TABLE shape (dims int, rows int, query real[], candidates real[]);
INSERT INTO shape
SELECT dims, rows, array(SELECT (random() - 0.5)::real FROM generate_series(1, dims)),
       (SELECT array_agg(((hashint8(i + 1000003::bigint * CASE row % 3 WHEN 0 THEN row / 2 ELSE row END) & 65535) - 32768)::real
                         ORDER BY row, i)
        FROM generate_series(1, rows) AS row, generate_series(1, dims) AS i)
FROM (VALUES (1, 1), (1, 255), (1, 256), (1, 257), (1, 513), (1, 3000), (2, 1), (2, 256), (3, 512), (3, 1000),
             (15, 300), (16, 300), (17, 300), (100, 257), (384, 260), (1024, 256), (1025, 257), (1100, 260),
             (4100, 70), (131072, 3), (262144, 2), (262145, 2), (300000, 3)) AS s(dims, rows);
CREATE TABLE expected AS
SELECT dims, rows, r, engram_cosine(query, candidates[(r - 1) * dims + 1 : r * dims]) AS similarity
FROM shape, generate_series(1, rows) AS r;
CREATE TABLE ranked AS
SELECT dims, rows, r, similarity, row_number() OVER (PARTITION BY dims, rows ORDER BY similarity DESC, r) AS rank
FROM expected;
SELECT count(*) AS candidates, count(*) - count(DISTINCT (dims, rows, similarity)) > 1000 AS with_ties FROM expected;

-- Every similarity is the operator's, to the bit.
SELECT count(*) AS compared,
       count(*) FILTER (WHERE float8send(b.similarity) IS DISTINCT FROM float8send(e.similarity)) AS different
FROM shape JOIN expected AS e USING (dims, rows)
     FULL JOIN (SELECT dims, rows, r::int, similarity
                FROM shape, unnest(engram_cosine_batch(query, candidates)) WITH ORDINALITY AS u(similarity, r)) AS b
     USING (dims, rows, r);

-- top-k is a sort of them, for every k that could be special.
CREATE TABLE wanted AS
SELECT DISTINCT dims, rows, k
FROM shape, LATERAL unnest(ARRAY[1, 2, 3, 10, rows / 2, rows - 1, rows, rows + 1, 100000]) AS k WHERE k > 0;
CREATE TABLE found AS
SELECT dims, rows, k, ordinal, similarity, rank
FROM shape JOIN wanted USING (dims, rows),
     ROWS FROM (engram_topk(query, candidates, k)) WITH ORDINALITY AS t(ordinal, similarity, rank);
SELECT count(*) > 10000 AS many,
       count(*) FILTER (WHERE found.k IS NULL) AS missing,
       count(*) FILTER (WHERE ranked.r IS NULL) AS invented,
       count(*) FILTER (WHERE found.ordinal <> ranked.r) AS misplaced,
       count(*) FILTER (WHERE float8send(found.similarity) <> float8send(ranked.similarity)) AS different
FROM (SELECT * FROM wanted JOIN ranked USING (dims, rows) WHERE rank <= k) AS ranked
     FULL JOIN found USING (dims, rows, k, rank);

-- Rows and flat are the same; so is a query asked for by many rows.
SELECT count(*) AS shapes,
       count(*) FILTER (WHERE engram_cosine_batch(query, candidates) IS DISTINCT FROM
                        engram_cosine_batch(query, by_rows)) AS different
FROM (SELECT query, candidates,
             (SELECT array_agg(candidates[(r - 1) * dims + 1 : r * dims] ORDER BY r)
              FROM generate_series(1, rows) AS r) AS by_rows
      FROM shape WHERE rows * dims < 100000) AS s;

-- Candidates can be gathered from rows, and a match traced back to its row.
CREATE TABLE item (id int PRIMARY KEY, embedding real[]);
INSERT INTO item SELECT i * 10, ARRAY[cos(i), sin(i), i % 3] FROM generate_series(1, 500) AS i;
WITH gathered AS (SELECT array_agg(id ORDER BY id) AS ids, array_agg(embedding ORDER BY id) AS candidates FROM item),
topk AS (SELECT ids[ordinal] AS id, 1 - similarity AS distance, row_number() OVER () AS rank
         FROM gathered, engram_topk('{0.6,0.8,1}', candidates, 20)),
sorted AS (SELECT id, embedding <=> '{0.6,0.8,1}' AS distance,
                  row_number() OVER (ORDER BY embedding <=> '{0.6,0.8,1}', id) AS rank FROM item)
SELECT count(*) AS ranks, bool_and(topk.id = sorted.id AND topk.distance = sorted.distance) AS same
FROM topk JOIN sorted USING (rank);

SET client_min_messages = warning;
DROP SCHEMA batch CASCADE;
