-- A row without an entry, and another with two, in an index so large that the
-- filter of engram_index_check alone misses two rows of five: it always finds
-- it.  Stops with an error if it does not.
--
--	test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/long/check.sql
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS engramk;
CREATE TABLE many (v real[]) WITH (autovacuum_enabled = off);
INSERT INTO many SELECT NULL FROM generate_series(1, 4000000);
CREATE INDEX many_v ON many USING engramk (v);
-- while the other is hidden, the table is still one with indexes
CREATE INDEX ON many (v) WHERE v IS NOT NULL;
CREATE FUNCTION hide(hidden boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE pg_index SET indisready = NOT hidden WHERE indexrelid = 'many_v'::regclass
$$;

-- VACUUM leaves an entry behind; the next row takes its place, and gets another
DELETE FROM many WHERE ctid = (SELECT max(ctid) FROM many) RETURNING ctid AS place \gset
SELECT hide(true) \gset
VACUUM (INDEX_CLEANUP on) many;
SELECT hide(false) \gset
\connect
INSERT INTO many VALUES (NULL) RETURNING 1 / (ctid = :'place')::int AS reused \gset
SELECT hide(true) \gset
INSERT INTO many VALUES (NULL);
SELECT hide(false) \gset

SET maintenance_work_mem = '1MB';
DO $$
BEGIN
    FOR attempt IN 1 .. 8 LOOP
        BEGIN
            PERFORM engram_index_check('many_v');
            RAISE 'attempt % has not found it', attempt;
        EXCEPTION WHEN index_corrupted THEN
            CONTINUE;
        END;
    END LOOP;
END $$;
\echo ok - a row without an entry is found beside one with two
