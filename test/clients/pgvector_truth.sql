-- What psql finds without an index by pgvector's operators: see truth.sql.
\set ON_ERROR_STOP on
SET enable_indexscan = off;
\set query '[0.1,-0.27,0.333,-0.45,0.5,0.61,-0.7,0.8,-0.99,1.1,0.12,-0.13,0.14,0.15,-0.16,0.17,0.18,-0.19,0.2,0.21,-0.22,0.23,0.24,1e-3]'
SELECT 'cosine', id, embedding <=> :'query' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
SELECT 'inner_product', id, embedding <#> :'query' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
SELECT 'l2', id, embedding <-> :'query' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
SELECT 'half_cosine', id, embedding <=> :'query' AS distance FROM half_items ORDER BY 3, 2 LIMIT 10;
