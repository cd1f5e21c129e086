-- Everything within a distance: by the index, with an order or without, under filters and
-- in joins, what the sequential scan finds.
SET client_min_messages = warning;
CREATE SCHEMA radius;
SET search_path = radius, public;
SET jit = off;
CREATE FUNCTION vec(i int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg(((hashint8(i * 1000 + j)::float8 / 2147483648) / j + (i % 5 = j)::int)::real ORDER BY j) FROM generate_series(1, dims) j$$;
CREATE TABLE old_1 AS SELECT i AS id, CASE WHEN i % 97 <> 0 THEN vec(i, 40) END AS v FROM generate_series(1, 3000) i;
CREATE TABLE old_2 AS TABLE old_1;
ALTER EXTENSION engramk UPDATE TO '1.4';
CREATE INDEX old_1_v ON old_1 USING engramk (v);
ALTER EXTENSION engramk UPDATE TO '1.5';
CREATE INDEX old_2_v ON old_2 USING engramk (v);
ALTER EXTENSION engramk UPDATE TO '1.9';
ANALYZE old_1;
ANALYZE old_2;
CREATE TABLE item AS SELECT i AS id, CASE WHEN i % 97 <> 0 THEN vec(i, 24) END AS v, i % 7 AS kind FROM generate_series(1, 5000) i;
INSERT INTO item VALUES (0, array_fill(0::real, ARRAY[24]), 3);
CREATE INDEX item_v ON item USING engramk (v, kind);
ANALYZE item;

-- The functions are the operators compared
CREATE TABLE pair AS SELECT vec(i, 5) AS a, vec(j, 5) AS b FROM generate_series(1, 20) i, generate_series(1, 20) j;
SELECT count(*) FILTER (WHERE engram_cosine_within(a, b, r) <> (a <=> b <= r)) AS cosine,
    count(*) FILTER (WHERE engram_inner_product_within(a, b, r) <> (a <#> b <= r)) AS inner_product,
    count(*) FILTER (WHERE engram_l2_within(a, b, r) <> (a <-> b <= r)) AS l2
FROM pair, unnest(ARRAY[-1, 0, 0.1, 0.5, 1, 2, 'infinity', '-infinity']::float8[]) r;
SELECT count(*) FROM pair WHERE engram_cosine_within(a, b, a <=> b) AND engram_l2_within(a, b, a <-> b) AND engram_inner_product_within(a, b, a <#> b);
SELECT engram_cosine_within(NULL, '{1}', 1), engram_cosine_within('{1}', NULL, 1), engram_cosine_within('{1}', '{1}', NULL);
SELECT engram_cosine_within('{1}', '{1}', 'NaN');
SELECT engram_l2_within('{1}', '{1,2}', 1);
SELECT engram_l2_within('{1}', '{NaN}', 1);
SELECT engram_cosine_within('{0,0}', '{1,2}', 0.99), engram_cosine_within('{0,0}', '{1,2}', 1);

-- By the index
CREATE FUNCTION rows_of(query text, by_index bool) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; plan text := ''; line text;
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan := plan || line; END LOOP;
    IF by_index AND plan NOT LIKE '%Index Cond: %engram_%' THEN RAISE WARNING 'no index condition: %', query; END IF;
    EXECUTE 'SELECT coalesce(array_agg(s.*), ''{}'')::text FROM (' || query || ') s' INTO result;
    RETURN result;
EXCEPTION WHEN others THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TABLE query (q text);
INSERT INTO query SELECT format(q, vec(7, 24), r) FROM unnest(ARRAY[-1, 0, 0.05, 0.3, 0.9, 1, 1.5, 2, 'infinity']::float8[]) r, unnest(ARRAY[
    'SELECT count(*), min(id), max(id), sum(id) FROM item WHERE engram_cosine_within(v, %1$L, %2$L)',
    'SELECT count(*), min(id), max(id), sum(id) FROM item WHERE engram_cosine_within(%1$L, v, %2$L)',
    'SELECT count(*), min(id), max(id), sum(id) FROM item WHERE engram_l2_within(v, %1$L, %2$L)',
    'SELECT count(*), min(id), max(id), sum(id) FROM item WHERE engram_inner_product_within(v, %1$L, %2$L - 1)',
    'SELECT v <=> %1$L FROM item WHERE engram_cosine_within(v, %1$L, %2$L) ORDER BY v <=> %1$L LIMIT 10',
    'SELECT v <-> %1$L FROM item WHERE engram_l2_within(v, %1$L, %2$L) ORDER BY v <-> %1$L',
    'SELECT v <#> %1$L FROM item WHERE engram_l2_within(v, %1$L, %2$L) ORDER BY v <#> %1$L LIMIT 7',
    'SELECT v <-> %1$L FROM item WHERE engram_l2_within(v, %1$L, %2$L) AND kind = 3 ORDER BY v <-> %1$L LIMIT 10',
    'SELECT count(*), sum(id) FROM item WHERE engram_l2_within(v, %1$L, %2$L) AND kind IN (1, 2, 6)',
    'SELECT v <=> %1$L FROM item WHERE v <=> %1$L < %2$L::float8 ORDER BY v <=> %1$L LIMIT 10',
    'SELECT v <=> %1$L FROM item WHERE %2$L::float8 >= v <=> %1$L ORDER BY v <=> %1$L LIMIT 10000',
    'SELECT v <-> %1$L FROM item WHERE v <-> %1$L <= %2$L::float8 AND engram_l2_within(v, %1$L, 0.7) ORDER BY v <-> %1$L']) q;
INSERT INTO query SELECT format(q, vec(7, 24)) FROM unnest(ARRAY[
    'SELECT count(*) FROM item WHERE engram_cosine_within(v, %1$L, ''NaN'')',
    'SELECT count(*) FROM item WHERE engram_cosine_within(v, ''{1,2}'', 0.5)',
    'SELECT count(*) FROM item WHERE engram_cosine_within(v, ''{}'', 0.5)',
    'SELECT v <=> %1$L FROM item WHERE v <=> %1$L < ''NaN''::float8 ORDER BY v <=> %1$L LIMIT 10',
    'SELECT count(*) FROM item WHERE engram_cosine_within(v, array_fill(0::real, ARRAY[24]), 1)',
    'SELECT count(*), sum(id) FROM item WHERE v <=>@ ANY (ARRAY[engram_ball(%1$L, 0.1), NULL])',
    'SELECT count(*), sum(id) FROM item WHERE v <=>@ ANY (ARRAY[engram_ball(%1$L, 0.1), engram_ball(%1$L, 0.05)]) AND kind = 3',
    'SELECT v <=> %1$L FROM item WHERE v <=>@ ANY (ARRAY[engram_ball(%1$L, 0.1), engram_ball(%1$L, 0.05)]) ORDER BY v <=> %1$L LIMIT 20',
    'SELECT count(*), sum(id) FROM item WHERE engram_cosine_within(v, %1$L, 0.3) AND engram_l2_within(v, array_fill(0.1::real, ARRAY[24]), 0.9)',
    'SELECT count(*), sum(id) FROM item WHERE v <=>@ ROW(NULL, 1)::engram_ball',
    'SELECT count(*) FROM item WHERE engram_cosine_within(v, array_fill(0::real, ARRAY[24]), 0.99)']) q;
SELECT q, rows_of(q, true), rows_of(q, false) FROM query WHERE rows_of(q, true) IS DISTINCT FROM rows_of(q, false);
SELECT count(*), count(*) FILTER (WHERE rows_of(q, false) LIKE '2%') AS errors FROM query;

-- Indexes of the first two formats know radii as well, also when there is no room for all
-- that is within
SELECT format FROM engram_index_info('old_1_v') UNION ALL SELECT format FROM engram_index_info('old_2_v');
SELECT t, f, r FROM unnest(ARRAY['old_1', 'old_2']) t, unnest(ARRAY['cosine', 'l2', 'inner_product']) f, unnest(ARRAY[-1, 0, 0.05, 0.3, 1, 1.4]::float8[]) r,
    format('SELECT count(*), min(id), max(id), sum(id) FROM %s WHERE engram_%s_within(v, %L, %s)', t, f, vec(7, 40), r) q
WHERE rows_of(q, true) IS DISTINCT FROM rows_of(q, false);
SET engramk.arena_size = '64kB';
SELECT t, f FROM unnest(ARRAY['old_1', 'old_2', 'item']) t, unnest(ARRAY['cosine', 'l2', 'inner_product']) f,
    format('SELECT count(*), min(id), max(id), sum(id) FROM %s WHERE engram_%s_within(v, %L, 1)', t, f, vec(7, CASE t WHEN 'item' THEN 24 ELSE 40 END)) q
WHERE rows_of(q, true) IS DISTINCT FROM rows_of(q, false);
RESET engramk.arena_size;

-- In a join each query is asked of the index; and it goes on until it is canceled where nobody asks
SET enable_mergejoin = off;
SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT a.id, b.id FROM item a JOIN item b ON engram_cosine_within(a.v, b.v, 0.01) AND a.id < b.id WHERE a.id < 100;
SELECT count(*), sum(a.id * b.id) FROM item a JOIN item b ON engram_cosine_within(b.v, a.v, 0.05) AND a.id < b.id WHERE a.id < 100;
RESET enable_mergejoin;
RESET enable_hashjoin;
SET enable_indexscan = off;
SELECT count(*), sum(a.id * b.id) FROM item a JOIN item b ON engram_cosine_within(b.v, a.v, 0.05) AND a.id < b.id WHERE a.id < 100;
RESET enable_indexscan;

-- The join of many: what is near enough of the k nearest, as brute force has it
CREATE FUNCTION join_differs(k int, most float8, metric text, distance text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE differs bool;
BEGIN
    EXECUTE format('SELECT (SELECT array_agg((query_id, target_id, rank, distance)::text ORDER BY query_id, rank)
            FROM engram_knn_join(''SELECT id, v FROM item WHERE id < 40'', ''SELECT id, v FROM item WHERE id %% 5 = 0'', $1, $2, true, $3)) IS DISTINCT FROM
        (SELECT array_agg((q, t, rank, d)::text ORDER BY q, rank) FROM (
            SELECT a.id::bigint AS q, b.id::bigint AS t, a.v %1$s b.v AS d, (row_number() OVER (PARTITION BY a.id ORDER BY a.v %1$s b.v, b.id))::int AS rank
            FROM item a, item b WHERE a.id < 40 AND b.id %% 5 = 0 AND a.id <> b.id AND a.v %1$s b.v <= $2 AND b.v IS NOT NULL) s WHERE rank <= $1)', distance)
    INTO differs USING k, most, metric;
    RETURN differs;
END $$;
SELECT k, most, metric, distance FROM unnest(ARRAY[1, 5, 1000000]) k, unnest(ARRAY[-1, 0, 0.05, 0.4, 1, 'infinity']::float8[]) most,
    (VALUES ('cosine', '<=>'), ('l2', '<->'), ('inner_product', '<#>'), ('l1', '<+>')) m (metric, distance)
WHERE join_differs(k, most, metric, distance);
SELECT count(*) > 100 AS some, max(distance) <= 0.05 AS near FROM engram_knn_join('SELECT id, v FROM item', 'SELECT id, v FROM item', 3, max_distance => 0.05, exclude_self => true);
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM item', 'SELECT id, v FROM item', 3, 'NaN'::float8);
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM item WHERE id < 10', 'SELECT id, v FROM item', 3, 'l2', false);

-- Nobody's function is taken for one of engramk's because of its name.
CREATE FUNCTION public.engram_ball(center real[], radius float8, lossy boolean) RETURNS engram_ball LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RAISE 'this is not of engramk'; END $$;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM old_2 WHERE v <=> '{1}' < 0.2 ORDER BY v <=> '{1}' LIMIT 3;
SELECT count(*) FROM (SELECT id FROM item WHERE v <=> vec(7, 24) < 0.2 ORDER BY v <=> vec(7, 24) LIMIT 3) AS x;
DROP FUNCTION public.engram_ball(real[], float8, boolean);
DROP SCHEMA radius CASCADE;
