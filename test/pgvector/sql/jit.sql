-- Where PostgreSQL compiles a plan, pgvector's operators add up floats in another order: the
-- index allows for that, too.  Without LLVM nothing is compiled, and this says nothing new.
CREATE SCHEMA jit;
SET search_path = jit, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, v vector(96), h halfvec(96));
-- Many rows that differ in the last bits of a float
INSERT INTO item SELECT i, v, v
FROM generate_series(1, 1500) AS i,
    LATERAL (SELECT array_agg((sin(i % 3 * j) + (i * j) % 7 * 6e-8)::real ORDER BY j)::vector AS v FROM generate_series(1, 96) AS j) AS x;
CREATE INDEX item_cosine ON item USING engramk (v vector_cosine_ops);
CREATE INDEX item_product ON item USING engramk (v vector_ip_ops);
CREATE INDEX item_halves ON item USING engramk (h halfvec_l2_ops);
SET jit = on;
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
SELECT wanted, by_cosine.equal AS cosine, by_product.equal AS product, by_halves.equal AS halves
FROM unnest('{1,10,700,1500}'::int[]) AS wanted, compare('item', 'v <=> wave(1, 96)', wanted) AS by_cosine,
    compare('item', 'v <#> wave(1, 96)', wanted) AS by_product, compare('item', 'h <-> wave(1, 96)::halfvec', wanted) AS by_halves;
