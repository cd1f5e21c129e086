/* engramk--1.9--1.8.sql: only if nothing depends on what 1.9 brought */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.8'" to load this file. \quit

-- the tables of joins in slices are the user's, and stay
DROP FUNCTION engram_knn_join_progress(text);
DROP PROCEDURE engram_knn_join_run(text);
DROP FUNCTION engram_knn_join_create(text, text, text, integer, integer, boolean, text, double precision, name);

DROP FUNCTION engram_fan_out(name[], text, text[], integer, boolean);
DROP FUNCTION engram_uuid_fan_out(name[], text, text[], integer, boolean);
DROP AGGREGATE engram_nearest_merge(engram_match[], integer);
DROP AGGREGATE engram_nearest_merge(engram_uuid_match[], integer);
DROP FUNCTION engram_nearest_merge_add(internal, engram_match[], integer);
DROP FUNCTION engram_nearest_merge_add(internal, engram_uuid_match[], integer);
DROP FUNCTION engram_nearest_merge_combine(internal, internal);
DROP FUNCTION engram_nearest_merge_serialize(internal);
DROP FUNCTION engram_nearest_merge_deserialize(bytea, internal);
DROP FUNCTION engram_nearest_merge_result(internal);
DROP FUNCTION engram_nearest_merge_uuid_result(internal);
