/* engramk--1.7--1.6.sql: only if version 1.6 can read every index */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.6'" to load this file. \quit

SELECT engram_require_format(3);

DROP VIEW engram_stat_filters;
DROP FUNCTION engram_stat_get_filter(oid);
DROP FUNCTION engram_knn_join(text, text, integer, name, boolean, text, double precision);
DROP FUNCTION engram_knn_join(text, text, integer, double precision, boolean, text);
DROP FUNCTION engram_cosine_within(real[], real[], double precision);
DROP FUNCTION engram_inner_product_within(real[], real[], double precision);
DROP FUNCTION engram_l2_within(real[], real[], double precision);
DROP FUNCTION engram_cosine_within_support(internal);
DROP FUNCTION engram_inner_product_within_support(internal);
DROP FUNCTION engram_l2_within_support(internal);
-- They leave the family of engram_ops with it.  ALTER OPERATOR FAMILY asks the handler, and that of 1.6, where its
-- library is in place already, knows of no such strategies.
DROP OPERATOR <=>@ (real[], engram_ball);
DROP OPERATOR <#>@ (real[], engram_ball);
DROP OPERATOR <->@ (real[], engram_ball);
DROP FUNCTION engram_cosine_in_ball(real[], engram_ball);
DROP FUNCTION engram_inner_product_in_ball(real[], engram_ball);
DROP FUNCTION engram_l2_in_ball(real[], engram_ball);
DROP FUNCTION engram_ball(real[], double precision);
DROP TYPE engram_ball;

DROP OPERATOR FAMILY engram_integer_filter USING engramk;
DROP OPERATOR FAMILY engram_date_filter USING engramk;
DROP OPERATOR FAMILY engram_timestamp_filter USING engramk;
DROP OPERATOR FAMILY engram_timestamptz_filter USING engramk;
DROP OPERATOR FAMILY engram_bool_filter USING engramk;
DROP OPERATOR FAMILY engram_text_filter USING engramk;
DROP OPERATOR FAMILY engram_bpchar_filter USING engramk;
DROP OPERATOR FAMILY engram_uuid_filter USING engramk;
DROP OPERATOR FAMILY engram_oid_filter USING engramk;
DROP OPERATOR FAMILY engram_numeric_filter USING engramk;
DROP OPERATOR FAMILY engram_enum_filter USING engramk;
DROP FUNCTION engram_filter_number(boolean);
DROP FUNCTION engram_filter_number(smallint);
DROP FUNCTION engram_filter_number(integer);
DROP FUNCTION engram_filter_number(bigint);
DROP FUNCTION engram_filter_number(date);
DROP FUNCTION engram_filter_number(timestamp);
DROP FUNCTION engram_filter_number(timestamptz);
