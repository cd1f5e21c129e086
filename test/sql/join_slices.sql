-- A join in slices: the rows and the bits of the one statement, each slice once, for ids
-- of all kinds; and what it does with jobs that are not there, gone, or somebody else's.
SET extra_float_digits = 1;

CREATE TABLE sliced AS
    SELECT i AS id, i % 7 AS part, (SELECT array_agg((sin(i * 12.9898 + j * 78.233) + (i % 13 = j % 13)::integer)::real ORDER BY j)
                                    FROM generate_series(1, 35) AS j) AS v
    FROM generate_series(-500::bigint, 1000) AS i WHERE i % 5 <> 0;
INSERT INTO sliced VALUES ('-9223372036854775808', 1, array_fill(0.5::real, ARRAY[35])),
    ('9223372036854775807', 2, array_fill(0.25::real, ARRAY[35])),
    (5, 3, NULL), (NULL, 4, array_fill(1::real, ARRAY[35])), (NULL, NULL, NULL);
INSERT INTO sliced SELECT 10, 0, v FROM sliced WHERE id BETWEEN 20 AND 99;

-- How many rows differ from those of a join at once, in their distances' bits as well.
CREATE FUNCTION differences(job text, at_once text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format($query$
        WITH mine AS (SELECT query_id, target_id, rank, float8send(distance) FROM %s),
            theirs AS (SELECT query_id, target_id, rank, float8send(distance) FROM %s)
        SELECT count(*) FROM ((TABLE mine EXCEPT ALL TABLE theirs) UNION ALL (TABLE theirs EXCEPT ALL TABLE mine)) AS d
        $query$, job, at_once) INTO result;
    RETURN result;
END $$;

SELECT engram_knn_join_create('near', 'SELECT id, v FROM sliced -- all of them', 'SELECT id, v FROM sliced;', 5,
                              slice_rows => 300, exclude_self => true) AS slices;
-- half-open ranges, of which the outermost are open; nothing has been done
SELECT slice, first_id, end_id, started_at, finished_at, pid, rows FROM near_slices ORDER BY slice;
SELECT queries, targets, k, exclude_self, metric, max_distance, join_by, created_at <= clock_timestamp() AS created FROM near_terms;
SELECT * FROM engram_knn_join_progress('near');
CALL engram_knn_join_run('near');
SELECT differences('near', $$engram_knn_join('SELECT id, v FROM sliced', 'SELECT id, v FROM sliced', 5, exclude_self => true)$$);
SELECT sum(rows) = (SELECT count(*) FROM near) AS counted, bool_and(started_at < finished_at) AS timed,
    bool_and(pid = pg_backend_pid()) AS by_me, count(*) AS slices
FROM near_slices;
SELECT slices, finished, running, rows, started_at = (SELECT min(started_at) FROM near_slices) AS started,
    elapsed = expected_end - started_at AS elapsed, expected_end = (SELECT max(finished_at) FROM near_slices) AS ended
FROM engram_knn_join_progress('near');
-- there is nothing left to do
CALL engram_knn_join_run('near');
SELECT count(*) = (SELECT sum(rows) FROM near_slices) AS once FROM near;

-- every metric, a distance, a key, smaller integers, many passes over the targets in a slice
SET engramk.arena_size = '64kB';
SELECT engram_knn_join_create('sliced_' || metric, 'SELECT id, v FROM sliced', 'SELECT id, v FROM sliced', 3, 250, metric => metric) AS slices
FROM unnest('{cosine,inner_product,l2,l1}'::text[]) AS metric;
CALL engram_knn_join_run('sliced_cosine');
CALL engram_knn_join_run('sliced_inner_product');
CALL engram_knn_join_run('sliced_l2');
CALL engram_knn_join_run('sliced_l1');
SELECT metric, differences('sliced_' || metric, format($$engram_knn_join('SELECT id, v FROM sliced', 'SELECT id, v FROM sliced', 3, %L)$$, metric))
FROM unnest('{cosine,inner_product,l2,l1}'::text[]) AS metric;
RESET engramk.arena_size;
SELECT engram_knn_join_create('keyed_near', 'SELECT id::integer, v, part FROM sliced WHERE id BETWEEN -400 AND 900',
    'SELECT id, v, part FROM sliced', 1000, slice_rows => 100, join_by => 'part', max_distance => 0.5) AS slices;
CALL engram_knn_join_run('keyed_near');
SELECT count(*) > 0 AS some, differences('keyed_near', $$engram_knn_join('SELECT id::integer, v, part FROM sliced WHERE id BETWEEN -400 AND 900',
    'SELECT id, v, part FROM sliced', 1000, join_by => 'part', max_distance => 0.5)$$) FROM keyed_near;
SELECT engram_knn_join_create('one_each', $$VALUES (3::smallint, '{1,0}'::real[]), (-3, '{0,1}'), (1, '{1,1}')$$,
    $$VALUES (1, '{2,0}'::real[]), (2, '{0,2}')$$, 1, slice_rows => 1) AS slices;
CALL engram_knn_join_run('one_each');
TABLE one_each ORDER BY query_id;
SELECT slice, first_id, end_id, rows FROM one_each_slices ORDER BY slice;

-- ids that are all the same are one slice, and so is nothing; what comes later is of the slice
-- whose range has its id, and what has gone is of none
SELECT engram_knn_join_create('equal_ids', $$SELECT 7, ARRAY[i, 1]::real[] FROM generate_series(1, 50) AS i$$,
    'SELECT id, v FROM sliced WHERE false', 1, slice_rows => 10) AS slices;
CREATE TABLE later (id integer, v real[]);
SELECT engram_knn_join_create('later_near', 'TABLE later', 'TABLE later', 1, slice_rows => 2) AS slices;
CALL engram_knn_join_run('later_near');
SELECT slices, finished, running, rows FROM engram_knn_join_progress('later_near');
DROP TABLE later_near, later_near_slices, later_near_terms;
INSERT INTO later SELECT i, ARRAY[i, 1] FROM generate_series(1, 6) AS i;
SELECT engram_knn_join_create('later_near', 'TABLE later', 'TABLE later', 1, slice_rows => 2) AS slices;
INSERT INTO later VALUES (-100, '{100,1}'), (100, '{-100,1}');
DELETE FROM later WHERE id IN (3, 4);
CALL engram_knn_join_run('later_near');
SELECT slice, rows FROM later_near_slices ORDER BY slice;
SELECT query_id FROM later_near ORDER BY query_id;

-- a slice that fails leaves nothing, keeps what was finished before it, and is joined again, after those
-- that nobody has begun yet
UPDATE later SET v = '{NaN,1}' WHERE id = 5;
INSERT INTO later SELECT i, ARRAY[i, 1] FROM generate_series(3, 4) AS i;
DROP TABLE later_near, later_near_slices, later_near_terms;
SELECT engram_knn_join_create('later_near', 'TABLE later', 'SELECT id, v FROM later WHERE id <> 5', 1, slice_rows => 3) AS slices;
\set VERBOSITY terse
CALL engram_knn_join_run('later_near');
SELECT slice, finished_at IS NOT NULL AS finished, rows FROM later_near_slices ORDER BY slice;
SELECT slices, finished, running, rows, expected_end FROM engram_knn_join_progress('later_near');
CALL engram_knn_join_run('later_near');
SELECT slice, started_at IS NOT NULL AS begun, finished_at IS NOT NULL AS finished, rows FROM later_near_slices ORDER BY slice;
UPDATE later SET v = '{5,1}' WHERE id = 5;
CALL engram_knn_join_run('later_near');
SELECT slice, finished_at IS NOT NULL AS finished, rows FROM later_near_slices ORDER BY slice;
SELECT differences('later_near', $$engram_knn_join('TABLE later', 'SELECT id, v FROM later WHERE id <> 5', 1)$$);
-- and so is one that is made free by hand
BEGIN;
DELETE FROM later_near USING later_near_slices WHERE slice = 2 AND query_id >= first_id AND query_id < end_id;
UPDATE later_near_slices SET finished_at = NULL, rows = NULL WHERE slice = 2;
COMMIT;
SELECT finished, rows FROM engram_knn_join_progress('later_near');
CALL engram_knn_join_run('later_near');
SELECT differences('later_near', $$engram_knn_join('TABLE later', 'SELECT id, v FROM later WHERE id <> 5', 1)$$);

-- a strict isolation of the session is not that of the slices
SET default_transaction_isolation = 'serializable';
UPDATE one_each_slices SET finished_at = NULL;
TRUNCATE one_each;
CALL engram_knn_join_run('one_each');
SELECT count(*) FROM one_each;
SHOW transaction_isolation;
RESET default_transaction_isolation;

-- names: as PostgreSQL takes them, and never cut
CREATE SCHEMA "Slices, ""quoted"" %s";
SELECT engram_knn_join_create('"Slices, ""quoted"" %s"."a.b; DROP TABLE sliced''%I"', 'TABLE later', 'TABLE later', 1) AS slices;
CALL engram_knn_join_run('"Slices, ""quoted"" %s"."a.b; DROP TABLE sliced''%I"');
SELECT finished FROM engram_knn_join_progress('"Slices, ""quoted"" %s"."a.b; DROP TABLE sliced''%I"');
SELECT relname FROM pg_class WHERE relnamespace = '"Slices, ""quoted"" %s"'::regnamespace AND relkind = 'r' ORDER BY relname;
SELECT engram_knn_join_create(repeat('n', 56), 'TABLE later', 'TABLE later', 1) AS slices;
CALL engram_knn_join_run(repeat('n', 56));
SELECT finished FROM engram_knn_join_progress(repeat('n', 56));
SELECT engram_knn_join_create(repeat('n', 57), 'TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create(repeat('é', 29), 'TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create('pg_temp.Passing', 'TABLE later', 'TABLE later', 1) AS slices;
CALL engram_knn_join_run('passing');
SELECT count(*) AS temporary FROM pg_temp.passing;
SELECT engram_knn_join_create('a.b.c', 'TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create('a b', 'TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create('', 'TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create('nowhere.near', 'TABLE later', 'TABLE later', 1);
SET search_path = nowhere;
SELECT public.engram_knn_join_create('near', 'TABLE public.later', 'TABLE public.later', 1);
RESET search_path;

-- a job that is there, or part of one; what is made in a transaction that fails is not
SELECT engram_knn_join_create('near', 'TABLE later', 'TABLE later', 1);
CREATE TABLE half_terms ();
SELECT engram_knn_join_create('half', 'TABLE later', 'TABLE later', 1);
SELECT to_regclass('half') AS half, to_regclass('half_slices') AS half_slices;
BEGIN;
SELECT engram_knn_join_create('half_gone', 'TABLE later', 'TABLE later', 1) AS slices;
ROLLBACK;
SELECT to_regclass('half_gone') AS half_gone;

-- what cannot be joined is said at once
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 1, slice_rows => 0);
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 1, slice_rows => NULL);
SELECT engram_knn_join_create(NULL, 'TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create('bad', NULL, 'TABLE later', 1);
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', NULL);
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 1, max_distance => NULL);
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 0);
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 1, metric => 'Cosine');
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 1, max_distance => 'NaN');
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later', 1, join_by => 'part');
SELECT engram_knn_join_create('bad', 'SELECT id FROM later', 'TABLE later', 1);
SELECT engram_knn_join_create('bad', 'SELECT id::text, v FROM later', 'TABLE later', 1);
SELECT engram_knn_join_create('bad', 'TABLE later', 'SELECT v, id FROM later', 1);
SELECT engram_knn_join_create('bad', 'TABLE later; TABLE later', 'TABLE later', 1);
SELECT engram_knn_join_create('bad', 'TABLE later', 'TABLE later; TABLE later', 1);
SELECT engram_knn_join_create('bad', 'DELETE FROM later RETURNING id, v', 'TABLE later', 1);
SELECT engram_knn_join_create('bad', 'TABLE later', 'DELETE FROM later RETURNING id, v', 1);
SELECT engram_knn_join_create('bad', '', 'TABLE later', 1);
SELECT to_regclass('bad') AS bad;
SELECT count(*) AS untouched FROM later;

-- what cannot be run
CALL engram_knn_join_run('nothing');
CALL engram_knn_join_run(NULL);
SELECT engram_knn_join_progress('nothing');
SELECT engram_knn_join_progress(NULL) IS NULL AS unknown;
CALL engram_knn_join_run('later');
SELECT engram_knn_join_progress('later');
BEGIN;
CALL engram_knn_join_run('near');
ROLLBACK;
SET default_transaction_read_only = on;
CALL engram_knn_join_run('equal_ids');
SELECT slices, finished FROM engram_knn_join_progress('equal_ids');
RESET default_transaction_read_only;
DROP TABLE one_each;
UPDATE one_each_slices SET finished_at = NULL;
CALL engram_knn_join_run('one_each');
\set VERBOSITY default

-- another role works where it was granted to, with its own rights
CREATE ROLE regress_engramk_slices;
GRANT ALL ON SCHEMA public TO regress_engramk_slices;
SELECT engram_knn_join_create('shared', 'SELECT id, v FROM later', 'SELECT id, v FROM later', 2, slice_rows => 3) AS slices;
\set VERBOSITY terse
SET ROLE regress_engramk_slices;
SELECT engram_knn_join_create('mine', 'SELECT id, v FROM later', 'SELECT id, v FROM later', 2);
CALL engram_knn_join_run('shared');
RESET ROLE;
GRANT SELECT ON shared_terms TO regress_engramk_slices;
GRANT SELECT, UPDATE ON shared_slices TO regress_engramk_slices;
GRANT INSERT ON shared TO regress_engramk_slices;
SET ROLE regress_engramk_slices;
CALL engram_knn_join_run('shared');
RESET ROLE;
GRANT SELECT ON later TO regress_engramk_slices;
SET ROLE regress_engramk_slices;
CALL engram_knn_join_run('shared');
SELECT slices, finished, running, rows FROM engram_knn_join_progress('shared');
SELECT engram_knn_join_create('mine', 'SELECT id, v FROM later', 'SELECT id, v FROM later', 2) AS slices;
RESET ROLE;
\set VERBOSITY default
SELECT relname, relowner::regrole FROM pg_class WHERE relname LIKE 'mine%' AND relkind = 'r' ORDER BY relname;

-- what somebody has put before pg_catalog is not used, and the extension may be anywhere
CREATE SCHEMA hostile;
DO $$
DECLARE
    used CONSTANT oid[] := '{oid,name,text,xid,integer,bigint,double precision,interval,timestamp with time zone}'::regtype[];
    definition text;
BEGIN
    FOR definition IN
        SELECT format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', proname,
                      pg_get_function_identity_arguments(oid), pg_get_function_result(oid), 'BEGIN RAISE ''trapped''; END')
        FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname IN ('to_regclass', 'parse_ident',
            'octet_length', 'rtrim', 'current_schema', 'current_setting', 'clock_timestamp', 'pg_backend_pid')
        UNION ALL
        SELECT format('CREATE FUNCTION hostile.%s(%s) RETURNS text LANGUAGE plpgsql AS %L', name, array_to_string(array_fill('text'::text, ARRAY[arguments]), ','),
                      'BEGIN RAISE ''trapped''; END')
        FROM unnest('{format,concat}'::text[]) AS name, generate_series(1, 5) AS arguments
        UNION ALL
        SELECT format('CREATE FUNCTION hostile.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', 'trap_' || oid, oprleft::regtype, oprright::regtype, oprresult::regtype,
                      'BEGIN RAISE ''trapped''; END')
        FROM pg_operator
        WHERE oprname IN ('=', '<', '>', '>=', '+', '-', '*', '/') AND oprleft = ANY (used) AND oprright = ANY (used)
        UNION ALL
        SELECT format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.trap_%s)', oprname, oprleft::regtype, oprright::regtype, oid)
        FROM pg_operator
        WHERE oprname IN ('=', '<', '>', '>=', '+', '-', '*', '/') AND oprleft = ANY (used) AND oprright = ANY (used)
    LOOP
        EXECUTE definition;
    END LOOP;
END $$;
CREATE FUNCTION hostile.engram_knn_join(queries text, targets text, k integer, max_distance double precision,
        exclude_self boolean, metric text, OUT query_id bigint, OUT target_id bigint, OUT rank integer, OUT distance double precision)
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE DOMAIN hostile.text AS integer;
CREATE DOMAIN hostile.record AS integer;
CREATE TABLE hostile.pg_class ();
CREATE TABLE hostile.pg_extension ();
CREATE TABLE hostile.pg_locks ();
CREATE SCHEMA elsewhere;
ALTER EXTENSION engramk SET SCHEMA elsewhere;
SET search_path = hostile, public, pg_catalog;
\set VERBOSITY terse
SELECT 1::bigint = 1;
SELECT format('%s', 'x'::pg_catalog.text);
\set VERBOSITY default
SELECT elsewhere.engram_knn_join_create('public.trapped', 'TABLE later', 'TABLE later', 2, slice_rows => 3) AS slices;
CALL elsewhere.engram_knn_join_run('trapped');
SELECT slices, finished, running, rows FROM elsewhere.engram_knn_join_progress('trapped');
RESET search_path;
ALTER EXTENSION engramk SET SCHEMA public;
SELECT count(*), bool_and(s.query_id = t.query_id) AS same FROM trapped AS t FULL JOIN shared AS s USING (query_id, target_id, rank, distance);

-- Who asks how far a job is runs nothing of its owner's by own rights: no cast of a type of his,
-- and no policy.
CREATE SCHEMA theirs AUTHORIZATION regress_engramk_slices;
SET ROLE regress_engramk_slices;
CREATE TYPE theirs.number AS (n bigint);
CREATE FUNCTION theirs.to_bigint(theirs.number) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;
CREATE CAST (theirs.number AS bigint) WITH FUNCTION theirs.to_bigint(theirs.number) AS IMPLICIT;
CREATE TABLE theirs.typed (query_id bigint);
CREATE TABLE theirs.typed_slices (slice integer, started_at timestamp with time zone, finished_at timestamp with time zone, rows theirs.number);
INSERT INTO theirs.typed_slices VALUES (1, now(), now(), '(5)');
CREATE FUNCTION theirs.allows() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;
CREATE TABLE theirs.guarded (query_id bigint);
CREATE TABLE theirs.guarded_slices (slice integer, started_at timestamp with time zone, finished_at timestamp with time zone, rows bigint);
INSERT INTO theirs.guarded_slices VALUES (1, now(), now(), 5);
ALTER TABLE theirs.guarded_slices ENABLE ROW LEVEL SECURITY;
CREATE POLICY guard ON theirs.guarded_slices USING (theirs.allows());
CREATE TYPE theirs.moment AS (t timestamp with time zone);
CREATE FUNCTION theirs.to_time(theirs.moment) RETURNS timestamp with time zone LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;
CREATE CAST (theirs.moment AS timestamp with time zone) WITH FUNCTION theirs.to_time(theirs.moment) AS IMPLICIT;
CREATE DOMAIN theirs.zone AS text;
CREATE TABLE theirs.named (query_id bigint);
CREATE TABLE theirs.named_slices (slice integer, started_at theirs.moment, finished_at theirs.moment, rows bigint,
    "started_at timestamp with time" theirs.zone, "finished_at timestamp with time" theirs.zone);
INSERT INTO theirs.named_slices VALUES (1, row(now()), row(now()), 5);
GRANT USAGE ON SCHEMA theirs TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA theirs TO PUBLIC;
RESET ROLE;
CREATE ROLE regress_engramk_asker;
SELECT engram_knn_join_progress('theirs.typed');
SET search_path = public, theirs;
SELECT engram_knn_join_progress('theirs.named');
RESET search_path;
SELECT slices, rows FROM engram_knn_join_progress('theirs.guarded');
SET ROLE regress_engramk_asker;
SELECT engram_knn_join_progress('theirs.guarded');
RESET ROLE;

SET client_min_messages = warning;
DROP ROLE regress_engramk_asker;
DROP SCHEMA theirs CASCADE;
DROP SCHEMA hostile, elsewhere, "Slices, ""quoted"" %s" CASCADE;
DROP OWNED BY regress_engramk_slices;
DROP ROLE regress_engramk_slices;
DO $$
BEGIN
    EXECUTE (SELECT format('DROP TABLE %s', string_agg(oid::regclass::text, ', ')) FROM pg_class
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                 AND relname ~ '^(near|sliced|keyed|one_each|equal_ids|later|half|n{56}|shared|trapped)');
END $$;
DROP FUNCTION differences(text, text);
