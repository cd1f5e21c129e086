-- The system that docs/pgvector.md speaks of: the database shop with a table of pgvector and
-- its HNSW index, as somebody has it who knows nothing of engramk yet.  Documents that are
-- executed beside the same server may have made a shop.

SET client_min_messages = warning;
DROP DATABASE IF EXISTS shop;
CREATE DATABASE shop;
\connect shop
CREATE EXTENSION vector;

CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id integer, embedding vector(64));
SELECT setseed(0.5) \g /dev/null
INSERT INTO items (tenant_id, embedding)
    SELECT i % 10, (SELECT array_agg((sin(i % 50 * j) + random() - 0.5)::real) FROM generate_series(1, 64) AS j)
    FROM generate_series(1, 20000) AS i;
CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_cosine_ops);
ANALYZE items;
