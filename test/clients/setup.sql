-- What every client finds: vectors in a plain column, in one whose type is a domain, and
-- beside a column that filters, an index on each, and a table to fill.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION engramk;
CREATE DOMAIN vector24 AS real[] CHECK (engram_is_valid(VALUE) AND cardinality(VALUE) = 24);
CREATE TABLE items (id bigint PRIMARY KEY, embedding real[] NOT NULL);
INSERT INTO items
    SELECT i, ARRAY(SELECT sin(i * 7919 + j * j)::real FROM generate_series(1, 24) AS j)
    FROM generate_series(1, 3000) AS i;
CREATE TABLE domain_items (id bigint PRIMARY KEY, embedding vector24 NOT NULL);
INSERT INTO domain_items SELECT * FROM items;
CREATE INDEX items_embedding ON items USING engramk (embedding);
CREATE INDEX domain_items_embedding ON domain_items USING engramk (embedding);
CREATE TABLE tenant_items AS SELECT id, (id % 30)::integer AS tenant_id, embedding FROM items;
CREATE INDEX tenant_items_embedding ON tenant_items USING engramk (embedding, tenant_id);
CREATE TABLE added (id bigint, embedding real[]);
ANALYZE;
