/* engramk--1.6--1.5.sql: only if version 1.5 can read every index */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.5'" to load this file. \quit

SELECT engram_require_format(2);
