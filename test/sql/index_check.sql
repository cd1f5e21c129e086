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
    PERFORM seize();
    RETURN ARRAY[v[1] / 2, v[2] / 2];
END $$;
CREATE OR REPLACE FUNCTION is_wanted(id int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM seize();
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

SET client_min_messages = warning;
DROP SCHEMA index_check CASCADE;
DROP ROLE regress_engramk_owner;
