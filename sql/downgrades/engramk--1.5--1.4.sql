/* engramk--1.5--1.4.sql: only if version 1.4 can read every index */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.4'" to load this file. \quit

SELECT engram_require_format(1);

DROP FUNCTION engram_require_format(integer);

-- Its columns go in the same way as they came.  What was made of all of them, a view
-- or a function, knows how many there were, and would fail.
DO $$
DECLARE
    dependent text := (
        SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), ', ')
        FROM pg_catalog.pg_depend AS d
            LEFT JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            LEFT JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = 'engram_index_info(regclass)'::regprocedure
            AND coalesce(r.ev_action::text, p.prosqlbody::text) LIKE '%:funccolcount 14 %');
BEGIN
    IF dependent IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = 'cannot take back the columns of engram_index_info because other objects depend on them',
            DETAIL = 'They are of ' || dependent || '.',
            HINT = 'Keep their definitions, and drop them.';
    END IF;
END $$;
UPDATE pg_catalog.pg_proc SET
    proallargtypes = proallargtypes[1:9],
    proargmodes = proargmodes[1:9],
    proargnames = proargnames[1:9],
    prosrc = 'ek_sql_index_info'
WHERE oid OPERATOR(pg_catalog.=) 'engram_index_info(regclass)'::pg_catalog.regprocedure;
