/* engramk--1.6--1.5.sql: only if version 1.5 can read every index */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.5'" to load this file. \quit

SELECT engram_require_format(2);

DROP VIEW engram_slow_indexes;
DROP FUNCTION engram_index_slow_because(regclass);

-- Columns go in the same way as they came: see the way back from 1.5.
DO $$
DECLARE
    dependent text := (
        SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), ', ')
        FROM pg_catalog.pg_depend AS d
            LEFT JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            LEFT JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = 'engram_index_info(regclass)'::regprocedure
            AND coalesce(r.ev_action::text, p.prosqlbody::text) LIKE '%:funccolcount 17 %');
BEGIN
    IF dependent IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = 'cannot take back the columns of engram_index_info because other objects depend on them',
            DETAIL = 'They are of ' || dependent || '.',
            HINT = 'Keep their definitions, and drop them.';
    END IF;
END $$;
UPDATE pg_catalog.pg_proc SET
    proallargtypes = proallargtypes[1:15],
    proargmodes = proargmodes[1:15],
    proargnames = proargnames[1:15],
    prosrc = 'ek_sql_index_info_1_5'
WHERE oid OPERATOR(pg_catalog.=) 'engram_index_info(regclass)'::pg_catalog.regprocedure;
