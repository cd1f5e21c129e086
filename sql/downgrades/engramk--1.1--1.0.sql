/* engramk--1.1--1.0.sql: takes the statistics back */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.0'" to load this file. \quit

DROP VIEW engram_stat_kernels;
DROP VIEW engram_stat_arena;
DROP VIEW engram_stat_errors;
DROP VIEW engram_stat_verify;
DROP VIEW engram_stat_backends;
DROP VIEW engram_stat_info;

DROP FUNCTION engram_stat_get_kernels();
DROP FUNCTION engram_stat_get_arena();
DROP FUNCTION engram_stat_get_errors();
DROP FUNCTION engram_stat_get_verify();
DROP FUNCTION engram_stat_get_backends();
DROP FUNCTION engram_stat_get_info();
DROP FUNCTION engram_stat_reset();
