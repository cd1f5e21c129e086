-- Both types and all three metrics, with vectors as embeddings are, and as large or
-- small as the types allow.  pgvector computes in float: the order is the order of
-- what it computes, even where that is far from the true distance.
CREATE SCHEMA metrics;
SET search_path = metrics, public;
\set ECHO none
\i compare.sql
\set ECHO all

-- Vectors that are sums of a few waves, so that the build finds a basis; some of
-- them equal
CREATE FUNCTION embedding(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((sin(n) * sin(j) + sin(2 * n) * sin(2 * j) + sin(3 * n) * sin(3 * j) + sin(5 * n) * sin(4 * j)
        + cos(n) * sin(5 * j) + cos(2 * n) * sin(6 * j) + cos(3 * n) * sin(7 * j) + 0.01 * sin(n * j))::real ORDER BY j)
    FROM (VALUES (i % 3000)) AS m(n), generate_series(1, 64) AS j
$$;
CREATE TABLE item (id int, v vector(64), h halfvec(64));
INSERT INTO item SELECT i, embedding(i), embedding(i) FROM generate_series(1, 3100) AS i;
CREATE INDEX v_cosine ON item USING engramk (v vector_cosine_ops);
CREATE INDEX v_ip ON item USING engramk (v vector_ip_ops);
CREATE INDEX v_l2 ON item USING engramk (v vector_l2_ops);
CREATE INDEX h_cosine ON item USING engramk (h halfvec_cosine_ops);
CREATE INDEX h_ip ON item USING engramk (h halfvec_ip_ops);
CREATE INDEX h_l2 ON item USING engramk (h halfvec_l2_ops);
INSERT INTO item SELECT i, embedding(i), embedding(i) FROM generate_series(4001, 4300) AS i;
SELECT index, bool_and(basis > 0) AS has_basis, sum(vectors) AS vectors
FROM unnest('{v_cosine,v_ip,v_l2,h_cosine,h_ip,h_l2}'::regclass[]) AS index, engram_index_info(index)
GROUP BY index ORDER BY index::text;

-- For each type and metric: queries near and far, a few rows and all of them
SELECT type, operator, wanted, index, count(*) AS queries, min(rows) AS rows, bool_and(equal) AS equal
FROM (VALUES ('vector', 'v'), ('halfvec', 'h')) AS t(type, attribute),
    (VALUES ('<=>'), ('<#>'), ('<->')) AS metric(operator),
    (VALUES (1), (10), (100), (NULL)) AS l(wanted), generate_series(10, 9010, 1500) AS query,
    compare('item', format('%s %s embedding(%s)::%s', attribute, operator, query, type), wanted)
GROUP BY type, operator, wanted, index ORDER BY type DESC, operator, wanted;

-- The query on the left, as an alias of the select list, from another row, in each outer row
SELECT * FROM compare('item', 'embedding(5) <=> v', 10);
SELECT * FROM compare('(SELECT v <-> embedding(5) AS distance FROM item) AS s', 'distance', 10);
SELECT * FROM compare('item', 'v <-> (SELECT v FROM item WHERE id = 77)', 10);
SELECT * FROM compare('item', 'v <=> (SELECT avg(v) FROM item WHERE id < 10)', 10);
SELECT * FROM compare('(SELECT d FROM item AS a,
    LATERAL (SELECT a.v <-> b.v AS d FROM item AS b ORDER BY b.v <-> a.v LIMIT 3) AS nearest
    WHERE a.id < 30) AS s', 'd');

-- Each operator class serves its own operator, and nothing else is in order.
CREATE TABLE only_l2 (v vector(64));
CREATE INDEX only_l2_v ON only_l2 USING engramk (v);
INSERT INTO only_l2 SELECT v FROM item LIMIT 100;
SELECT * FROM compare('only_l2', 'v <-> embedding(5)');
SELECT * FROM compare('only_l2', 'v <=> embedding(5)');
SELECT * FROM compare('only_l2', 'v <+> embedding(5)');
SELECT * FROM compare('only_l2', 'l2_distance(v, embedding(5))');
SELECT * FROM compare('only_l2', '1 - (v <-> embedding(5))');
SELECT * FROM compare('only_l2', 'v <-> embedding(5)::real[]');

-- Squares that overflow a float or vanish in it: the distances are infinite, NaN or 0.
CREATE TABLE extreme (v vector(2), h halfvec(2));
INSERT INTO extreme SELECT ARRAY[x, y], ARRAY[x / 1e34, y / 1e34]
FROM unnest('{3e38,-3e38,1e30,1,-1,1e-20,-1e-30,1e-38,0}'::real[]) AS x,
    unnest('{3e38,-1e20,1,1e-22,1e-38,0}'::real[]) AS y;
CREATE INDEX extreme_v_cosine ON extreme USING engramk (v vector_cosine_ops);
CREATE INDEX extreme_v_ip ON extreme USING engramk (v vector_ip_ops);
CREATE INDEX extreme_v_l2 ON extreme USING engramk (v vector_l2_ops);
CREATE INDEX extreme_h_cosine ON extreme USING engramk (h halfvec_cosine_ops);
CREATE INDEX extreme_h_ip ON extreme USING engramk (h halfvec_ip_ops);
CREATE INDEX extreme_h_l2 ON extreme USING engramk (h halfvec_l2_ops);
SELECT operator, by_vector.index, by_halfvec.index, count(*) AS queries,
    bool_and(by_vector.equal) AS equal, bool_and(by_halfvec.equal) AS equal
FROM extreme, (VALUES ('<=>'), ('<#>'), ('<->')) AS metric(operator),
    compare('extreme', format('v %s %L', operator, v)) AS by_vector,
    compare('extreme', format('h %s %L', operator, h)) AS by_halfvec
GROUP BY operator, by_vector.index, by_halfvec.index ORDER BY operator;
