-- What filters.sql and columns.sql have in common: 300,000 vectors of 64 dimensions, of
-- kinds that are scattered among them, and of kinds by their distance from a query.
SELECT setseed(0.5) \g /dev/null
CREATE TABLE items (id integer, scattered integer, far integer, embedding real[]);
ALTER TABLE items ALTER embedding SET STORAGE plain;
-- Variance falls off with the dimension.  About 2^t rows are of kind t.
INSERT INTO items
    SELECT i, floor(log(2, 1 + (i * 7919::bigint) % 300007))::integer, 0,
        ARRAY(SELECT ((random() - 0.5) / j)::real FROM generate_series(1, 64) AS j WHERE i > 0)
    FROM generate_series(1, 300000) AS i;
CREATE TABLE query AS SELECT row_number() OVER () AS id, embedding FROM items WHERE id % 30011 = 0 LIMIT 5;
-- The further from the first query, the smaller the kind.
UPDATE items SET far = ordered.far FROM (
    SELECT id AS item, floor(log(2, 1 + (300001 - row_number() OVER (
        ORDER BY embedding <=> (SELECT embedding FROM query WHERE id = 1)))))::integer AS far
    FROM items) AS ordered
WHERE items.id = ordered.item;
VACUUM FULL items;
