-- What psql finds without an index, with the queries written out as constants: one
-- line for each neighbour, which are its kind, its id and its distance.
\set ON_ERROR_STOP on
SET enable_indexscan = off;
\set decimals '{0.1,-0.27,0.333,-0.45,0.5,0.61,-0.7,0.8,-0.99,1.1,0.12,-0.13,0.14,0.15,-0.16,0.17,0.18,-0.19,0.2,0.21,-0.22,0.23,0.24,1e-3}'
\set integers '{1,-2,3,-4,5,6,-7,8,-9,1,1,-1,1,1,-1,1,1,-1,2,2,-2,2,2,300}'
SELECT 'cosine', id, embedding <=> :'decimals' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
SELECT 'inner_product', id, embedding <#> :'decimals' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
SELECT 'l2', id, embedding <-> :'decimals' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
SELECT 'tenant', id, embedding <=> :'decimals' AS distance FROM tenant_items WHERE tenant_id = 7 ORDER BY 3, 2 LIMIT 10;
SELECT 'tenants', id, embedding <=> :'decimals' AS distance FROM tenant_items WHERE tenant_id IN (3, 7) ORDER BY 3, 2 LIMIT 10;
SELECT 'integers', id, embedding <=> :'integers' AS distance FROM items ORDER BY 3, 2 LIMIT 10;
