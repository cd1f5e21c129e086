-- What the document of many machines speaks of: a front, the database shop, with items
-- that are to be spread.
CREATE EXTENSION engramk;
CREATE DATABASE shop;
\connect shop
CREATE EXTENSION engramk;

CREATE TABLE all_items (id bigint PRIMARY KEY, tenant_id integer, title text, embedding real[]);
INSERT INTO all_items
    SELECT i, i % 10, 'item ' || i, ARRAY(SELECT sin(i * 12.9898 + j * 78.233)::real FROM generate_series(1, 64) AS j)
    FROM generate_series(1, 3000) AS i;
