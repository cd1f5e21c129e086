-- What every client of pgvector finds: vectors, and the same of half precision.  Each makes a
-- table and an index of its own, and is filled from these.  They are so many that the planner
-- takes the index by itself: to it, an operator of pgvector costs what an addition does.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION engramk;
CREATE EXTENSION vector;
CREATE EXTENSION engramk_pgvector;
CREATE TABLE items (id bigint PRIMARY KEY, embedding vector(24) NOT NULL);
INSERT INTO items
    SELECT i, ARRAY(SELECT sin(i * sqrt(j))::real FROM generate_series(1, 24) AS j)
    FROM generate_series(1, 10000) AS i;
CREATE TABLE half_items (id bigint PRIMARY KEY, embedding halfvec(24) NOT NULL);
INSERT INTO half_items SELECT id, embedding FROM items;
ANALYZE;
