-- An ordinary user who may create tables needs no more to create, use and drop such
-- an index; who may not read the table learns nothing of it.
CREATE SCHEMA privileges;
SET search_path = privileges, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE ROLE engramk_pgvector_user;
CREATE ROLE engramk_pgvector_other;
GRANT CREATE, USAGE ON SCHEMA privileges TO engramk_pgvector_user;
GRANT USAGE ON SCHEMA privileges TO engramk_pgvector_other;

SET ROLE engramk_pgvector_user;
CREATE TABLE item (id int, v vector(8), h halfvec(8));
INSERT INTO item SELECT i, wave(i, 8), wave(i, 8) FROM generate_series(1, 300) AS i;
CREATE INDEX item_v ON item USING engramk (v vector_cosine_ops) WITH (lists = 10);
CREATE INDEX CONCURRENTLY item_h ON item USING engramk (h halfvec_l2_ops);
SELECT * FROM compare('item', 'v <=> wave(77, 8)', 20);
SELECT * FROM compare('item', 'h <-> wave(77, 8)::halfvec', 20, 'h <-> wave(77, 8)::halfvec < 2');
SELECT count(*) FROM item WHERE engram_cosine_within(v, wave(77, 8), 0);
REINDEX INDEX item_v;
ALTER INDEX item_v RESET (lists);
SELECT engram_index_check('item_v');
DROP EXTENSION engramk_pgvector;

SET ROLE engramk_pgvector_other;
SELECT id FROM item ORDER BY v <=> '[1,2,3,4,5,6,7,8]' LIMIT 1;
SELECT vectors FROM engram_index_info('item_v');
SELECT engram_index_check('item_v');
CREATE INDEX ON item USING engramk (v);
DROP INDEX item_v;

-- Rows that a policy hides are in no answer.
SET ROLE engramk_pgvector_user;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON item FOR SELECT TO engramk_pgvector_other USING (id % 2 = 0);
GRANT SELECT ON item TO engramk_pgvector_other;
SET ROLE engramk_pgvector_other;
SELECT * FROM compare('item', 'v <=> wave(77, 8)', 20);
SELECT * FROM compare('item', 'v <=> wave(77, 8)');

RESET ROLE;
DROP TABLE item;
DROP OWNED BY engramk_pgvector_user, engramk_pgvector_other;
DROP ROLE engramk_pgvector_user, engramk_pgvector_other;
