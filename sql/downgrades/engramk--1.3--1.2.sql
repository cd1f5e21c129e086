/* engramk--1.3--1.2.sql: takes many against many back */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.2'" to load this file. \quit

DROP FUNCTION engram_cosine_matrix(real[], real[]);

DROP AGGREGATE engram_avg(real[]);
DROP AGGREGATE engram_sum(real[]);
DROP FUNCTION engram_avg_result(internal);
DROP FUNCTION engram_sum_result(internal);
DROP FUNCTION engram_sum_deserialize(bytea, internal);
DROP FUNCTION engram_sum_serialize(internal);
DROP FUNCTION engram_sum_combine(internal, internal);
DROP FUNCTION engram_sum_add(internal, real[]);

DROP FUNCTION engram_knn_join(text, text, integer, text, boolean);

DROP AGGREGATE engram_nearest(bigint, real[], real[], integer);
DROP AGGREGATE engram_nearest(bigint, real[], real[], integer, text);
DROP AGGREGATE engram_nearest(uuid, real[], real[], integer);
DROP AGGREGATE engram_nearest(uuid, real[], real[], integer, text);
DROP FUNCTION engram_nearest_uuid_result(internal);
DROP FUNCTION engram_nearest_result(internal);
DROP FUNCTION engram_nearest_deserialize(bytea, internal);
DROP FUNCTION engram_nearest_serialize(internal);
DROP FUNCTION engram_nearest_combine(internal, internal);
DROP FUNCTION engram_nearest_add(internal, uuid, real[], real[], integer, text);
DROP FUNCTION engram_nearest_add(internal, uuid, real[], real[], integer);
DROP FUNCTION engram_nearest_add(internal, bigint, real[], real[], integer, text);
DROP FUNCTION engram_nearest_add(internal, bigint, real[], real[], integer);
DROP TYPE engram_uuid_match;
DROP TYPE engram_match;
