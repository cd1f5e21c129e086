-- Loads one file of bench_index.sh from standard input.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS engramk;
DROP TABLE IF EXISTS items CASCADE;
CREATE TABLE items (name text, embedding real[]);
\copy items FROM pstdin
VACUUM ANALYZE items;
