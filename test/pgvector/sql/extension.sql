-- What depends on what: nothing that is in use goes without CASCADE, and then no data
-- goes with it but what is of pgvector's types.
\set tested :DBNAME
CREATE DATABASE engramk_pgvector_extension;
\c engramk_pgvector_extension
SET client_min_messages = warning;
CREATE EXTENSION engramk_pgvector CASCADE;
\set ECHO none
\i compare.sql
\set ECHO all
\set VERBOSITY terse
CREATE TABLE item (id int, v vector(8), a real[]);
INSERT INTO item SELECT i, wave(i, 8), wave(i, 8) FROM generate_series(1, 100) AS i;

BEGIN;
DROP EXTENSION engramk_pgvector;
CREATE INDEX ON item USING engramk (v vector_l2_ops);
ROLLBACK;

DROP EXTENSION vector;
DROP EXTENSION engramk;
CREATE INDEX item_v ON item USING engramk (v vector_l2_ops);
CREATE INDEX item_a ON item USING engramk (a);
DROP EXTENSION engramk_pgvector;

-- The indexes of arrays do not need it.
BEGIN;
DROP EXTENSION engramk_pgvector CASCADE;
SELECT * FROM compare('item', 'v <-> wave(77, 8)');
SELECT * FROM compare('item', 'a <-> wave(77, 8)::real[]', 10);
CREATE EXTENSION engramk_pgvector;
CREATE INDEX item_again ON item USING engramk (v vector_l2_ops);
SELECT * FROM compare('item', 'v <-> wave(77, 8)');
ROLLBACK;
BEGIN;
DROP EXTENSION engramk CASCADE;
SELECT count(v) FROM item;
ROLLBACK;
BEGIN;
DROP EXTENSION vector CASCADE;
SELECT count(*) FROM item;
SELECT extname FROM pg_extension WHERE extname ~ 'engramk|vector' ORDER BY extname;
ROLLBACK;
SELECT * FROM compare('item', 'v <-> wave(77, 8)');

-- What it needs comes first.
BEGIN;
DROP TABLE item;
DROP EXTENSION engramk_pgvector, engramk, vector CASCADE;
CREATE EXTENSION engramk;
SAVEPOINT s;
CREATE EXTENSION engramk_pgvector;
ROLLBACK TO s;
CREATE EXTENSION vector;
CREATE EXTENSION engramk_pgvector;
ROLLBACK;

-- Nor is anything else taken for pgvector's that has its names in the schema where it goes.
BEGIN;
DROP EXTENSION engramk_pgvector CASCADE;
CREATE SCHEMA others;
CREATE TYPE others.halfvec AS (x int);
SAVEPOINT s;
CREATE EXTENSION engramk_pgvector SCHEMA others;
ROLLBACK TO s;
DROP TYPE others.halfvec;
CREATE FUNCTION others.away(vector, vector) RETURNS float8 LANGUAGE sql AS 'SELECT 0.0::float8';
CREATE OPERATOR others.<=> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = others.away);
CREATE EXTENSION engramk_pgvector SCHEMA others;
ROLLBACK;

-- It can be in another schema, and moved.  The operator classes are found by name there.
BEGIN;
DROP INDEX item_v;
DROP EXTENSION engramk_pgvector;
CREATE SCHEMA other;
CREATE EXTENSION engramk_pgvector SCHEMA other;
SAVEPOINT s;
CREATE INDEX item_v ON item USING engramk (v vector_l2_ops);
ROLLBACK TO s;
CREATE INDEX item_v ON item USING engramk (v other.vector_l2_ops);
SELECT * FROM compare('item', 'v <-> wave(77, 8)');
SELECT * FROM compare('item', 'v <-> wave(77, 8)', 20, 'v <-> wave(77, 8) < 2');
ALTER EXTENSION engramk_pgvector SET SCHEMA public;
SELECT pg_get_indexdef('item_v'::regclass);
SELECT * FROM compare('item', 'v <-> wave(77, 8)', 20, 'v <-> wave(77, 8) < 2');
ROLLBACK;

-- The operator classes are valid, and each has a name of pgvector's hnsw.
SELECT opcname, opcintype::regtype, opcdefault, amvalidate(c.oid),
    EXISTS (SELECT FROM pg_opclass AS o JOIN pg_am AS a ON a.oid = o.opcmethod
        WHERE a.amname = 'hnsw' AND o.opcname = c.opcname AND o.opcintype = c.opcintype) AS in_hnsw
FROM pg_opclass AS c JOIN pg_am AS m ON m.oid = c.opcmethod
WHERE amname = 'engramk' AND opcintype IN ('vector'::regtype, 'halfvec'::regtype) ORDER BY opcname;

\c :tested
DROP DATABASE engramk_pgvector_extension;
