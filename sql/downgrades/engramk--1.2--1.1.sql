/* engramk--1.2--1.1.sql: takes the exact index back */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.1'" to load this file. \quit

-- An index that uses the access method stops this by name: "cannot drop operator
-- class engram_ops ... because other objects depend on it", with the list.

DROP VIEW engram_stat_indexes;
DROP FUNCTION engram_stat_get_index(oid);
DROP FUNCTION engram_index_check(regclass);
DROP FUNCTION engram_index_info(regclass);
DROP OPERATOR CLASS engram_ops USING engramk;
DROP OPERATOR FAMILY engram_ops USING engramk;
DROP ACCESS METHOD engramk;
DROP FUNCTION engramk_handler(internal);
