/* engramk--1.4--1.3.sql: the comment of 1.3 */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.3'" to load this file. \quit

COMMENT ON FUNCTION engram_index_check(regclass) IS
    'verifies every entry of an engramk index against its table; returns how many rows were compared';
