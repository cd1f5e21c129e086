-- The system that the documents speak of: the database shop with vectors, the
-- roles app and canary that query them, and monitoring.

CREATE ROLE app LOGIN;
CREATE ROLE canary LOGIN;
CREATE ROLE monitoring LOGIN IN ROLE pg_monitor;

CREATE EXTENSION engramk;
CREATE DATABASE shop;
\connect shop
CREATE EXTENSION engramk;

CREATE TABLE items (id integer PRIMARY KEY, embedding real[] CHECK (engram_is_valid(embedding)));
INSERT INTO items
    SELECT i, ARRAY(SELECT sin(i * 7919 + j)::real FROM generate_series(1, 384) AS j)
    FROM generate_series(1, 1000) AS i;
CREATE INDEX items_embedding ON items USING engramk (embedding);
ANALYZE items;
GRANT SELECT, INSERT, UPDATE, DELETE ON items TO app, canary;

CREATE VIEW similar_items AS
    SELECT a.id, b.id AS other, a.embedding <=> b.embedding AS distance
    FROM items AS a JOIN items AS b ON b.id <> a.id;
