-- hnsw leaves out NULLs, and zero vectors under cosine distance.  Here they are rows
-- like others, and come where a sort has them: NaN after all numbers, NULL last.
CREATE SCHEMA nulls;
SET search_path = nulls, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, v vector(3), h halfvec(3));
INSERT INTO item
VALUES (1, '[0,0,0]', '[0,0,0]'), (2, '[1,2,3]', '[1,2,3]'), (3, NULL, NULL), (4, '[1,1,1]', '[1,1,1]');
CREATE INDEX item_cosine ON item USING engramk (v vector_cosine_ops);
CREATE INDEX item_ip ON item USING engramk (v vector_ip_ops);
CREATE INDEX item_l2 ON item USING engramk (v vector_l2_ops);
CREATE INDEX item_half_cosine ON item USING engramk (h halfvec_cosine_ops);
CREATE INDEX item_half_ip ON item USING engramk (h halfvec_ip_ops);
CREATE INDEX item_half_l2 ON item USING engramk (h halfvec_l2_ops);
INSERT INTO item VALUES (5, '[0,0,0]', '[0,0,0]'), (6, '[1,2,4]', '[1,2,4]'), (7, NULL, NULL);

SET enable_seqscan = off;
SELECT id, v <=> '[3,3,3]' AS distance FROM item ORDER BY v <=> '[3,3,3]';
SELECT id, h <=> '[3,3,3]' AS distance FROM item ORDER BY h <=> '[3,3,3]';
RESET enable_seqscan;

-- A zero vector, NULL, and others, as the query
CREATE TABLE query (q text);
INSERT INTO query VALUES ('[0,0,0]'), (NULL), ('[3,3,3]'), ('[-1,-2,-3]');
SELECT q, operator, by_vector.*, by_halfvec.*
FROM query, (VALUES ('<=>'), ('<#>'), ('<->')) AS metric(operator),
    compare('item', format('v %s %L::vector', operator, q)) AS by_vector,
    compare('item', format('h %s %L::halfvec', operator, q)) AS by_halfvec
ORDER BY q, operator;
-- a NULL that is known only at run time
SELECT * FROM compare('item', 'v <=> (SELECT v FROM item WHERE id = 3)');
SELECT * FROM compare('item', 'h <-> (SELECT h FROM item WHERE id = 3)');

-- Conditions on them
SELECT * FROM compare('item', 'v <=> ''[3,3,3]''', filter => 'v IS NOT NULL');
SELECT * FROM compare('item', 'v <=> ''[3,3,3]''', filter => 'v IS NULL');
SELECT * FROM compare('item', 'v <=> ''[3,3,3]''', filter => 'vector_norm(v) > 0');

-- Nothing but such rows
CREATE TABLE only_nulls (v vector(3));
CREATE INDEX only_nulls_v ON only_nulls USING engramk (v vector_cosine_ops);
SELECT * FROM compare('only_nulls', 'v <=> ''[1,2,3]''');
INSERT INTO only_nulls SELECT NULL FROM generate_series(1, 1000);
SELECT * FROM compare('only_nulls', 'v <=> ''[1,2,3]''');
INSERT INTO only_nulls SELECT '[0,0,0]' FROM generate_series(1, 1000);
SELECT * FROM compare('only_nulls', 'v <=> ''[1,2,3]''');
SELECT * FROM compare('only_nulls', 'v <=> ''[1,2,3]''', 1500);
REINDEX INDEX only_nulls_v;
SELECT * FROM compare('only_nulls', 'v <=> ''[1,2,3]''', 1500);
DELETE FROM only_nulls WHERE v IS NULL;
VACUUM only_nulls;
SELECT * FROM compare('only_nulls', 'v <=> ''[1,2,3]''');
SELECT engram_index_check('only_nulls_v');
