-- What engram_index_check finds, on whose behalf it looks, and what it leaves
-- alone.
CREATE SCHEMA index_check;
SET search_path = index_check, public;

-- The expressions of an index are its owner's, and run as the owner: somebody
-- with more rights, who checks it, lends none of them.
CREATE ROLE regress_engramk_owner;
GRANT USAGE, CREATE ON SCHEMA index_check TO regress_engramk_owner;
SET ROLE regress_engramk_owner;
CREATE FUNCTION halve(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN ARRAY[v[1] / 2, v[2] / 2]; END $$;
CREATE FUNCTION is_wanted(id int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN id > 1; END $$;
CREATE TABLE trap (id int, v real[]);
INSERT INTO trap SELECT i, ARRAY[i, 1] FROM generate_series(1, 10) AS i;
CREATE INDEX trap_v ON trap USING engramk (halve(v)) WHERE is_wanted(id);
CREATE FUNCTION seize() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        ALTER ROLE regress_engramk_owner SUPERUSER;
    END IF;
    PERFORM set_config('application_name', 'left behind', false);
END $$;
CREATE OR REPLACE FUNCTION halve(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM index_check.seize();
    RETURN ARRAY[v[1] / 2, v[2] / 2];
END $$;
CREATE OR REPLACE FUNCTION is_wanted(id int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM index_check.seize();
    RETURN id > 1;
END $$;
RESET ROLE;
SELECT engram_index_check('trap_v');
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_engramk_owner';
SELECT current_setting('application_name') = 'left behind' AS a_setting_leaked, current_user = session_user AS is_oneself;
-- nor can it leave anything behind in the session
SET ROLE regress_engramk_owner;
CREATE OR REPLACE FUNCTION seize() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS left_behind ();
END $$;
RESET ROLE;
\set VERBOSITY terse
SELECT engram_index_check('trap_v');
\set VERBOSITY default
SELECT current_user = session_user AS is_oneself;
DROP TABLE trap;

-- An index that CREATE INDEX CONCURRENTLY left behind has not all rows.
CREATE TABLE twice (id int, v real[]);
INSERT INTO twice VALUES (1, '{1,2}'), (2, '{1,2,3}');
CREATE INDEX CONCURRENTLY twice_v ON twice USING engramk (v);
SELECT engram_index_check('twice_v');
DROP TABLE twice;

-- Rows that have no entry are found, as well as entries that are not true.  They
-- are made by hiding the index while they are inserted.
CREATE TABLE item (id int, tenant int, v real[]) WITH (autovacuum_enabled = off, fillfactor = 50);
CREATE FUNCTION hide(index regclass, hidden boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE pg_index SET indisready = NOT hidden WHERE indexrelid = index
$$;
CREATE INDEX item_v ON item USING engramk (v);
SELECT engram_index_check('item_v') AS empty;
SELECT hide('item_v', true);
INSERT INTO item VALUES (0, 0, NULL);
SELECT hide('item_v', false);
SELECT engram_index_check('item_v');
TRUNCATE item;
INSERT INTO item SELECT -i, 0, NULL FROM generate_series(1, 2000) AS i;
SELECT engram_index_check('item_v') AS early_nulls;
INSERT INTO item SELECT i, i % 4, ARRAY[i, 1] FROM generate_series(1, 1000) AS i;
INSERT INTO item SELECT 1000 + i, 0, NULL FROM generate_series(1, 10) AS i;
SELECT engram_index_check('item_v') AS all_kinds;
-- versions that are dead, in progress, or reached by a HOT chain are no damage
UPDATE item SET tenant = tenant + 4 WHERE id % 3 = 0;
UPDATE item SET tenant = tenant - 4 WHERE id % 3 = 0;
UPDATE item SET v = ARRAY[id, 2] WHERE id % 7 = 1;
DELETE FROM item WHERE id % 10 = 5;
BEGIN;
INSERT INTO item VALUES (5000, 0, '{1,2}');
UPDATE item SET v = '{3,4}' WHERE id = 1;
SELECT engram_index_check('item_v') = count(*) AS as_many_as_rows FROM item;
ROLLBACK;
SELECT engram_index_check('item_v') = count(*) AS as_many_as_rows FROM item;
VACUUM item;
SELECT engram_index_check('item_v') = count(*) AS as_many_as_rows FROM item;
BEGIN;
SELECT hide('item_v', true);
INSERT INTO item VALUES (6000, 0, '{1,2}');
SELECT hide('item_v', false);
\set VERBOSITY sqlstate
SELECT engram_index_check('item_v');
ROLLBACK;
\set VERBOSITY default
SELECT engram_index_check('item_v') = count(*) AS as_many_as_rows FROM item;

-- A partial index: what its predicate leaves out needs no entry, and may not
-- have one.
CREATE INDEX item_2 ON item USING engramk (v) WHERE tenant = 2;
SELECT engram_index_check('item_2') = count(*) AS as_many_as_rows FROM item WHERE tenant = 2;
BEGIN;
SELECT hide('item_2', true);
INSERT INTO item VALUES (6000, 3, '{1,2}');
SELECT hide('item_2', false);
SELECT engram_index_check('item_2') = count(*) AS as_many_as_rows FROM item WHERE tenant = 2;
SELECT hide('item_2', true);
INSERT INTO item VALUES (6001, 2, '{1,2}');
SELECT hide('item_2', false);
\set VERBOSITY sqlstate
SELECT engram_index_check('item_2');
ROLLBACK;
\set VERBOSITY default
CREATE FUNCTION is_second(tenant int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN tenant = 2; END $$;
CREATE INDEX item_second ON item USING engramk (v) WHERE is_second(tenant);
CREATE OR REPLACE FUNCTION is_second(tenant int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN tenant = 3; END $$;
\set VERBOSITY sqlstate
SELECT engram_index_check('item_second');
\set VERBOSITY default
DROP INDEX item_second;

-- An expression that has become another
CREATE FUNCTION shortened(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN v; END $$;
CREATE TABLE other (id int, v real[]);
INSERT INTO other VALUES (1, '{1,2}');
CREATE INDEX other_v ON other USING engramk (shortened(v));
SELECT engram_index_check('other_v');
-- which block it is depends on the format
CREATE FUNCTION finding(index regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN engram_index_check(index);
EXCEPTION WHEN index_corrupted THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLERRM || ': ' || regexp_replace(detail, 'Block \d+: ', '');
END $$;
CREATE OR REPLACE FUNCTION shortened(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN v[1:1]; END $$;
SELECT finding('other_v');
CREATE OR REPLACE FUNCTION shortened(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN NULL::real[]; END $$;
SELECT finding('other_v');

SET client_min_messages = warning;
DROP SCHEMA index_check CASCADE;
DROP ROLE regress_engramk_owner;
