-- The states of aggregates as bytes.  Extensions that distribute queries let
-- every role call what reads them, with any bytes: an error, never a crash.
--
-- An aggregate that gives its own input for its serialized state brings bytes
-- to those functions in the way that parallel plans do.
SET client_min_messages = warning;
SET extra_float_digits = 1;

CREATE AGGREGATE read_nearest(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = engram_nearest_deserialize, COMBINEFUNC = engram_nearest_combine,
    FINALFUNC = engram_nearest_result, PARALLEL = SAFE);
CREATE AGGREGATE read_uuid_nearest(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = engram_nearest_deserialize, COMBINEFUNC = engram_nearest_combine,
    FINALFUNC = engram_nearest_uuid_result, PARALLEL = SAFE);
CREATE AGGREGATE read_merge(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = engram_nearest_merge_deserialize, COMBINEFUNC = engram_nearest_merge_combine,
    FINALFUNC = engram_nearest_merge_result, PARALLEL = SAFE);
CREATE AGGREGATE read_sum(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = engram_sum_deserialize, COMBINEFUNC = engram_sum_combine,
    FINALFUNC = engram_sum_result, PARALLEL = SAFE);
CREATE AGGREGATE read_avg(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = engram_sum_deserialize, COMBINEFUNC = engram_sum_combine,
    FINALFUNC = engram_avg_result, PARALLEL = SAFE);

-- a state for each partition, so that they are combined
CREATE TABLE state (place integer, bytes bytea) PARTITION BY LIST (place);
CREATE TABLE state_1 PARTITION OF state FOR VALUES IN (1) WITH (parallel_workers = 1);
CREATE TABLE state_2 PARTITION OF state FOR VALUES IN (2) WITH (parallel_workers = 1);
SET enable_partitionwise_aggregate = on;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
-- no worker is needed, and none takes time to start
SET max_parallel_workers = 0;

-- The result, or what the error says.
CREATE FUNCTION result_of(aggregate text, one bytea, another bytea DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    TRUNCATE state;
    INSERT INTO state VALUES (1, one);
    INSERT INTO state SELECT 2, another WHERE another IS NOT NULL;
    EXECUTE format('SELECT %s(bytes, NULL)::text FROM state', aggregate) INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(': ', SQLSTATE, SQLERRM);
END $$;

CREATE FUNCTION nearest_state(
    neighbours bytea, queries integer DEFAULT 1, k integer DEFAULT 2,
    metric integer DEFAULT 0, identity bigint DEFAULT 5) RETURNS bytea
LANGUAGE sql AS $$
    SELECT int4send(queries) || int4send(k) || int4send(metric) || int8send(identity) || neighbours
$$;
CREATE FUNCTION neighbour(distance float8, high bigint, low bigint DEFAULT 0) RETURNS bytea
LANGUAGE sql AS $$ SELECT float8send(distance) || int8send(high) || int8send(low) $$;
CREATE FUNCTION merge_state(matches bytea, count bigint, k integer DEFAULT 2) RETURNS bytea
LANGUAGE sql AS $$ SELECT int4send(k) || int8send(count) || matches $$;
-- sums lie as they do in memory
CREATE FUNCTION sumsend(number float8) RETURNS bytea LANGUAGE sql AS $$
    SELECT string_agg(substr(float8send(number), i, 1), '' ORDER BY i DESC) FROM generate_series(1, 8) AS i
$$;
CREATE FUNCTION sum_state(dims integer, count bigint, sums bytea) RETURNS bytea
LANGUAGE sql AS $$ SELECT int8send(count) || int4send(dims) || sums $$;

-- the instrument works: states that are none of ours are read and combined
EXPLAIN (COSTS OFF) SELECT read_nearest(bytes, NULL) FROM state;
SELECT result_of('read_nearest', nearest_state(int4send(1) || neighbour(0.5, 7))) AS one_state,
    result_of('read_nearest', nearest_state(int4send(2) || neighbour(0.25, 7) || neighbour(3, 9)),
        nearest_state(int4send(1) || neighbour(1, 8))) AS combined;
SELECT result_of('read_uuid_nearest', nearest_state(int4send(1) || neighbour(0.5, 7, 9))) AS uuid,
    result_of('read_nearest', nearest_state('', queries => 0)) AS no_queries,
    result_of('read_nearest', nearest_state(int4send(0))) AS no_neighbours;
SELECT result_of('read_sum', sum_state(2, 4, sumsend(1) || sumsend(-2))) AS sum,
    result_of('read_avg', sum_state(2, 4, sumsend(1) || sumsend(-2)),
        sum_state(2, 4, sumsend(3) || sumsend(0.5))) AS combined;

-- engram_nearest
SELECT what, result_of('read_nearest', bytes) FROM (VALUES
    ('nothing', ''::bytea),
    ('half a number', '\x0000'),
    ('a number', int4send(1)),
    ('a sum', sum_state(2, 3, sumsend(1) || sumsend(2))),
    ('k of 0', nearest_state(int4send(1) || neighbour(0.5, 7), k => 0)),
    ('negative k', nearest_state(int4send(0), k => -1)),
    ('unknown metric', nearest_state(int4send(0), metric => 4)),
    ('negative metric', nearest_state(int4send(0), metric => -1)),
    ('negative count of queries', nearest_state(int4send(0), queries => -1)),
    ('more queries than bytes', nearest_state(int4send(0), queries => 2)),
    ('very many queries', nearest_state(int4send(0), queries => 2147483647)),
    ('fewer queries than bytes', nearest_state(int4send(0), queries => 0)),
    ('no neighbours where there should be', nearest_state('')),
    ('negative count of neighbours', nearest_state(int4send(-1))),
    ('more neighbours than bytes', nearest_state(int4send(2) || neighbour(0.5, 7))),
    ('very many neighbours', nearest_state(int4send(2147483647) || neighbour(0.5, 7), k => 2147483647)),
    ('more neighbours than k', nearest_state(int4send(2) || neighbour(0.5, 7) || neighbour(0.5, 8), k => 1)),
    ('half a neighbour', nearest_state(int4send(1) || substr(neighbour(0.5, 7), 1, 23))),
    ('a byte too many', nearest_state(int4send(1) || neighbour(0.5, 7) || '\x00')),
    ('NaN', nearest_state(int4send(1) || neighbour('NaN', 7))),
    ('infinity', nearest_state(int4send(1) || neighbour('-Infinity', 7))),
    ('a bigint of 16 bytes', nearest_state(int4send(1) || neighbour(0.5, 7, 1)))) AS t(what, bytes);
SELECT what, result_of('read_nearest', nearest_state(int4send(0)), other) AS combined_with
FROM (VALUES
    ('other queries', nearest_state(int4send(0), identity => 6)),
    ('more queries', nearest_state(int4send(0) || int4send(0), queries => 2)),
    ('another k', nearest_state(int4send(0), k => 3)),
    ('another metric', nearest_state(int4send(0), metric => 1))) AS t(what, other);

-- engram_nearest_merge
SELECT result_of('read_merge', merge_state(int4send(3) || neighbour(0.5, 7), 1)) AS one_state,
    result_of('read_merge', merge_state(int4send(3) || neighbour(0.5, 7), 1),
        merge_state(int4send(3) || neighbour(0.25, 7) || int4send(2) || neighbour(1, 9) || int4send(3) || neighbour(0.5, 6), 3))
        AS combined;
SELECT what, result_of('read_merge', bytes) FROM (VALUES
    ('nothing', ''::bytea),
    ('a state of engram_nearest', nearest_state(int4send(1) || neighbour(0.5, 7))),
    ('k of 0', merge_state('', 0, k => 0)),
    ('negative count of matches', merge_state('', -1)),
    ('more matches than bytes', merge_state(int4send(1) || neighbour(0.5, 7), 2)),
    ('very many matches', merge_state(int4send(1) || neighbour(0.5, 7), 9223372036854775807)),
    ('fewer matches than bytes', merge_state(int4send(1) || neighbour(0.5, 7), 0)),
    ('query 0', merge_state(int4send(0) || neighbour(0.5, 7), 1)),
    ('a negative query', merge_state(int4send(-1) || neighbour(0.5, 7), 1)),
    ('NaN', merge_state(int4send(1) || neighbour('NaN', 7), 1)),
    ('infinity', merge_state(int4send(1) || neighbour('-Infinity', 7), 1)),
    ('a bigint of 16 bytes', merge_state(int4send(1) || neighbour(0.5, 7, 1), 1))) AS t(what, bytes);
SELECT result_of('read_merge', merge_state('', 0), merge_state('', 0, k => 3)) AS another_k;

-- engram_sum and engram_avg
SELECT what, result_of('read_sum', bytes) FROM (VALUES
    ('nothing', ''::bytea),
    ('a number', int8send(1)),
    ('a state of engram_nearest', nearest_state(int4send(0))),
    ('no dimensions', sum_state(0, 1, '')),
    ('negative dimensions', sum_state(-1, 1, sumsend(1))),
    ('more dimensions than bytes', sum_state(2, 1, sumsend(1))),
    -- of which 8 times as many are 8 bytes in 32 bits
    ('very many dimensions', sum_state(536870913, 1, sumsend(1))),
    ('the most dimensions', sum_state(2147483647, 1, sumsend(1))),
    ('no rows', sum_state(1, 0, sumsend(1))),
    ('a negative count of rows', sum_state(1, -1, sumsend(1))),
    ('a byte too many', sum_state(1, 1, sumsend(1) || '\x00')),
    ('NaN', sum_state(1, 1, sumsend('NaN'))),
    ('infinity', sum_state(1, 1, sumsend('Infinity')))) AS t(what, bytes);
SELECT left(result_of('read_sum', sum_state(1, 1, sumsend(1)), sum_state(2, 1, sumsend(1) || sumsend(1))), 5) AS other_dimensions,
    result_of('read_avg', sum_state(1, 9223372036854775807, sumsend(1)), sum_state(1, 1, sumsend(1))) AS too_many_rows,
    result_of('read_sum', sum_state(1, 1, sumsend(1e308)), sum_state(1, 1, sumsend(1e308))) AS too_large;

-- and the session goes on
SELECT engram_nearest(1::bigint, '{3,4}'::real[], '{4,3}', 1), engram_sum('{3,4}'::real[]);

-- Bytes that are almost a state: each byte of one changed, and each length.
-- As many are accepted as differ in no more than what they say.
CREATE FUNCTION outcomes(aggregate text, bytes bytea) RETURNS TABLE (outcome text, times bigint) LANGUAGE sql AS $$
    SELECT CASE WHEN r LIKE '22P03: invalid state of %' THEN left(r, 5) ELSE 'a result' END, count(*)
    FROM (SELECT result_of(aggregate, set_byte(bytes, place, get_byte(bytes, place) # flip))
          FROM generate_series(0, length(bytes) - 1) AS place, (VALUES (1), (64), (128), (255)) AS f(flip)
          UNION ALL
          SELECT result_of(aggregate, substr(bytes, 1, size)) FROM generate_series(0, length(bytes) - 1) AS size) AS t(r)
    GROUP BY 1 ORDER BY 1
$$;
SELECT * FROM outcomes('read_nearest', nearest_state(int4send(2) || neighbour(0.5, 7) || neighbour(0.25, -3)));
SELECT * FROM outcomes('read_merge', merge_state(int4send(1) || neighbour(0.5, 7) || int4send(1) || neighbour(0.25, -3), 2));
SELECT * FROM outcomes('read_avg', sum_state(2, 300, sumsend(1.5) || sumsend(-2)));

DROP AGGREGATE read_nearest(bytea, bytea), read_uuid_nearest(bytea, bytea), read_merge(bytea, bytea),
    read_sum(bytea, bytea), read_avg(bytea, bytea);
DROP TABLE state;
