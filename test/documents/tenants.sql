-- What the reference and the document of the index speak of: items of ten tenants,
-- whose vectors no basis helps with, and questions.
CREATE EXTENSION engramk;
CREATE DATABASE shop;
\connect shop
CREATE EXTENSION engramk;

CREATE TABLE items (id bigint PRIMARY KEY, tenant_id integer, category text, embedding real[]);
ALTER TABLE items ALTER embedding SET STATISTICS 0;
INSERT INTO items
    SELECT i, i % 10, (ARRAY['news', 'sport'])[1 + i % 2],
        ARRAY(SELECT (hashint8(i * 1000 + j) / 2147483648.0)::real FROM generate_series(1, 384) AS j)
    FROM generate_series(1, 10000) AS i;
CREATE INDEX items_embedding ON items USING engramk (embedding);
CREATE TABLE questions AS SELECT id, embedding FROM items WHERE id <= 20;
VACUUM ANALYZE;
