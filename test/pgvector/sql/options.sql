-- The parameters of hnsw and ivfflat may stay where they are.  They do nothing, and
-- each statement that has some says so.
CREATE SCHEMA options;
SET search_path = options, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, v vector(3), h halfvec(3));
INSERT INTO item SELECT i, wave(i, 3), wave(i, 3) FROM generate_series(1, 500) AS i;

CREATE INDEX item_hnsw ON item USING engramk (v vector_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX item_ivfflat ON item USING engramk (h halfvec_l2_ops) WITH (lists = 100);
CREATE INDEX item_all ON item USING engramk (h halfvec_ip_ops) WITH (LISTS = 1, EF_Construction = 2, m = 3);
CREATE INDEX item_none ON item USING engramk (v vector_l2_ops);
SELECT * FROM compare('item', 'v <=> ''[1,2,3]''');
SELECT * FROM compare('item', 'h <-> ''[1,2,3]''');
SELECT * FROM compare('item', 'h <#> ''[1,2,3]''');

-- An index without neighbours or lists has no limits for their number.
CREATE TABLE other (v vector(3));
CREATE INDEX ON other USING engramk (v) WITH (m = 1);
CREATE INDEX ON other USING engramk (v) WITH (m = 101);
CREATE INDEX ON other USING engramk (v) WITH (m = 16, ef_construction = 4);
CREATE INDEX ON other USING engramk (v) WITH (lists = 1000000);

-- What no tool writes is a mistake.
CREATE INDEX ON other USING engramk (v) WITH (m = -1);
CREATE INDEX ON other USING engramk (v) WITH (m = many);
CREATE INDEX ON other USING engramk (v) WITH (m = 16, m = 17);
CREATE INDEX ON other USING engramk (v) WITH (fillfactor = 90);
CREATE INDEX ON other USING engramk (v) WITH (ef_search = 40);
-- later releases name the schema
\set VERBOSITY sqlstate
CREATE INDEX ON other USING engramk (v vector_l2_ops(dimensions = 3));
\set VERBOSITY default

-- They are kept, so that a dump holds what was written, and can be taken off.
SELECT pg_get_indexdef('item_hnsw'::regclass);
ALTER INDEX item_hnsw SET (m = 32);
ALTER INDEX item_hnsw SET (probes = 10);
ALTER INDEX item_hnsw RESET (m, ef_construction);
SELECT reloptions FROM pg_class WHERE oid = 'item_hnsw'::regclass;
ALTER INDEX item_none SET (lists = 10);
REINDEX INDEX item_none;
SELECT * FROM compare('item', 'v <-> ''[1,2,3]''', filter => 'id > 5');

-- Settings of pgvector's own scans neither cut off an answer nor put it out of order.
SET hnsw.ef_search = 1;
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.max_scan_tuples = 1;
SET ivfflat.probes = 1;
SELECT * FROM compare('item', 'v <=> ''[1,2,3]''', 300);
SELECT * FROM compare('item', 'v <=> ''[1,2,3]''', 300, 'id % 50 = 0');
