/* engramk--1.7--1.8.sql: indexes of other types than real[] */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.8'" to load this file. \quit

-- Nothing here: the access method is the same, and engramk_pgvector has the operator classes.
