/* engramk--1.3--1.4.sql: no new object; what the library does has changed */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.4'" to load this file. \quit

COMMENT ON FUNCTION engram_index_check(regclass) IS
    'verifies every entry of an engramk index against its table, and that every row has one; returns how many rows were compared';
