/* engramk--1.5--1.6.sql: indexes in a third format */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.6'" to load this file. \quit
