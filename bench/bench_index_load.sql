-- Loads one file of bench_index.sh from standard input, and takes :queries rows
-- out of it to be asked for: a query is no row of the table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS engramk;
DROP TABLE IF EXISTS items, queries CASCADE;
CREATE TABLE items (id integer GENERATED ALWAYS AS IDENTITY, name text, embedding real[]);
ALTER TABLE items ALTER embedding SET STATISTICS 0;
\copy items (name, embedding) FROM pstdin
CREATE TABLE queries AS
    SELECT row_number() OVER (ORDER BY md5(name), id) AS number, id, embedding
    FROM items ORDER BY number LIMIT :queries;
DELETE FROM items USING queries WHERE items.id = queries.id;
VACUUM (FULL, ANALYZE) items;
