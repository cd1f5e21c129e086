-- What an index of engramk cannot be, or cannot hold, has a message that says so.
CREATE SCHEMA errors;
SET search_path = errors, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, v vector(3), h halfvec(3), b bit(3), s sparsevec(3), r real[]);

-- The distances and types of pgvector that have no operator class here
CREATE INDEX ON item USING engramk (v vector_l1_ops);
CREATE INDEX ON item USING engramk (h halfvec_l1_ops);
CREATE INDEX ON item USING engramk (b bit_hamming_ops);
CREATE INDEX ON item USING engramk (b bit_jaccard_ops);
CREATE INDEX ON item USING engramk (s sparsevec_l2_ops);
CREATE INDEX ON item USING engramk (s);

-- An operator class of another type
CREATE INDEX ON item USING engramk (v halfvec_cosine_ops);
CREATE INDEX ON item USING engramk (h vector_cosine_ops);
CREATE INDEX ON item USING engramk (r vector_cosine_ops);

-- Kinds of index that it is not
CREATE UNIQUE INDEX ON item USING engramk (v);
CREATE INDEX ON item USING engramk (v) INCLUDE (id);
CREATE INDEX ON item USING engramk (v vector_l2_ops DESC);
CREATE INDEX ON item USING engramk (v, h);
CREATE INDEX ON item USING engramk (id, v);
-- later releases name the schema
\set VERBOSITY sqlstate
ALTER TABLE item ADD EXCLUDE USING engramk (v WITH =);
\set VERBOSITY default
CREATE INDEX item_v ON item USING engramk (v vector_l2_ops);
CLUSTER item USING item_v;

-- A query of other dimensions is the error of the operator, as soon as there is a vector.
SET enable_seqscan = off;
SELECT id FROM item ORDER BY v <-> '[1,2]';
INSERT INTO item (id, v) VALUES (1, NULL);
SELECT id FROM item ORDER BY v <-> '[1,2]';
INSERT INTO item (id, v) VALUES (2, '[1,2,3]');
SELECT id FROM item ORDER BY v <-> '[1,2]';
SELECT id FROM item ORDER BY v <-> '[1,2]' LIMIT 0;
RESET enable_seqscan;

-- After an error the index is as it was.
SELECT engram_index_check('item_v');
SELECT * FROM compare('item', 'v <-> ''[1,2,3]''');
