-- What workers cannot compute is no order of a parallel scan: a query vector of an outer
-- row, or of a function that is for the leader.
SET client_min_messages = warning;
CREATE SCHEMA parallel_order;
SET search_path = parallel_order, public;
CREATE TABLE item (id int, v real[]) WITH (autovacuum_enabled = off, parallel_workers = 2);
INSERT INTO item SELECT i, ARRAY[sin(i), cos(i * 0.7), sin(i * 1.3), 1]::real[] FROM generate_series(1, 5000) i;
CREATE INDEX item_v ON item USING engramk (v);
VACUUM ANALYZE item;
CREATE TABLE query AS SELECT * FROM item WHERE id <= 3;
CREATE TEMP TABLE own AS SELECT v FROM item WHERE id = 1;
CREATE FUNCTION of_leader() RETURNS real[] STABLE PARALLEL RESTRICTED LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT v FROM own); END$$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET enable_sort = off;
SET enable_seqscan = off;

EXPLAIN (COSTS off) SELECT id FROM item ORDER BY v <=> '{1,1,1,1}'::real[] LIMIT 3;
SELECT (SELECT id FROM item ORDER BY v <=> query.v LIMIT 1) FROM query;
SELECT query.id, n.id = query.id AS found FROM query, LATERAL (SELECT item.id FROM item ORDER BY item.v <=> query.v LIMIT 1) AS n ORDER BY 1;
EXPLAIN (COSTS off) SELECT id FROM item ORDER BY v <=> of_leader() LIMIT 1;
SELECT id FROM item ORDER BY v <=> of_leader() LIMIT 1;
SELECT id FROM item ORDER BY v <=> (SELECT v FROM query WHERE id = 2) LIMIT 1;
DROP SCHEMA parallel_order CASCADE;
