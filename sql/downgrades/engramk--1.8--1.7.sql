/* engramk--1.8--1.7.sql: only if version 1.7 can read every index, and nothing depends on 1.8 */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.7'" to load this file. \quit

SELECT engram_require_format(4);
