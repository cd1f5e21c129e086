-- ORDER BY distance and something else: the index gives the distances in order, and what
-- is just as far is sorted; PostgreSQL does so by itself from release 17 on.
SET client_min_messages = warning;
SET extra_float_digits = 1;

-- every vector twenty times, in no order of ids
CREATE TABLE item (id integer, kind integer, v real[]);
INSERT INTO item
    SELECT i, i % 10, (SELECT array_agg(sin((i * 7919 % 5000 / 20) * 12.9898 + j * 78.233)::real ORDER BY j) FROM generate_series(1, 24) AS j)
    FROM generate_series(1, 5000) AS i;
CREATE INDEX item_v ON item USING engramk (v, kind);
VACUUM ANALYZE item;
CREATE TABLE divided (LIKE item) PARTITION BY RANGE (id);
CREATE TABLE divided_1 PARTITION OF divided FOR VALUES FROM (0) TO (2000);
CREATE TABLE divided_2 PARTITION OF divided FOR VALUES FROM (2000) TO (9000);
INSERT INTO divided SELECT * FROM item;
CREATE INDEX ON divided USING engramk (v, kind);
VACUUM ANALYZE divided;
CREATE VIEW question AS SELECT number, v FROM item, generate_series(1, 5) AS number WHERE id = 1 + number * 977;

SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <=> '{1,2}', id LIMIT 30;
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE kind = 3 ORDER BY '{1,2}' <-> v, kind DESC, id DESC LIMIT 30;
EXPLAIN (COSTS OFF) SELECT id FROM divided ORDER BY v <#> '{1,2}', id LIMIT 30;
-- The place of a row may be lost where an index gives an order: before 17 such rows are sorted.
CREATE FUNCTION is_by_index(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || statement INTO plan;
    RETURN plan::text LIKE '%Incremental Sort%';
END $$;
SELECT source, is_by_index(format('SELECT id FROM %s ORDER BY v <=> ''{1,2}'', id LIMIT 3', source)) AS of_ids,
    is_by_index(format('SELECT ctid FROM %s ORDER BY v <=> ''{1,2}'', id LIMIT 3', source)) <=
        (current_setting('server_version_num')::integer >= 170000) AS of_ctid,
    is_by_index(format('SELECT id FROM %s ORDER BY v <=> ''{1,2}'', id LIMIT 3 FOR UPDATE', source)) <=
        (current_setting('server_version_num')::integer >= 170000) AS locked
FROM unnest('{item,divided}'::text[]) AS source ORDER BY source DESC;
-- of which the first is none that the index gives
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY id, v <=> '{1,2}' LIMIT 30;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <=> '{1,2}' DESC, id LIMIT 30;

-- How many of the rows in order differ, each by its place, from those of a sort
CREATE FUNCTION differences(source text, condition text, sort_by text, k integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('SELECT array_agg(id) FROM (SELECT i.id FROM %s AS i WHERE %s ORDER BY %s LIMIT %s) AS n', source, condition, sort_by, k);
    q record;
    by_index integer[];
    by_sort integer[];
    result bigint := 0;
BEGIN
    FOR q IN SELECT * FROM question LOOP
        SET LOCAL enable_seqscan = off;
        EXECUTE statement INTO by_index USING q.v;
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_indexscan = off;
        EXECUTE statement INTO by_sort USING q.v;
        SET LOCAL enable_indexscan = on;
        result := result + (by_sort IS NULL)::integer + (SELECT count(*) FROM unnest(by_index, by_sort) AS n (a, b) WHERE a IS DISTINCT FROM b);
    END LOOP;
    RETURN result;
END $$;
SELECT source, condition, sort_by, differences(source, condition, sort_by, 30) AS thirty, differences(source, condition, sort_by, 4000) AS many
FROM unnest('{item,divided}'::text[]) AS source,
    unnest('{true,kind = 3,"kind IN (3, 5)","id % 3 = 1","i.v <=> $1 < 0.3"}'::text[]) AS condition,
    unnest('{"i.v <=> $1, id","i.v <-> $1, kind DESC, id","i.v <#> $1, -id"}'::text[]) AS sort_by
ORDER BY source DESC, condition, sort_by;

-- as a prepared statement, in a join and with what else sorts
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE nearest (real[], integer) AS SELECT id FROM item ORDER BY v <=> $1, id LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE nearest('{1,2}', 5);
RESET plan_cache_mode;
SELECT q.number, n.id FROM question AS q, LATERAL (SELECT id FROM item ORDER BY v <=> q.v, id LIMIT 2) AS n ORDER BY 1, 2;
SELECT count(*), count(DISTINCT id) FROM (SELECT DISTINCT ON (i.v <=> q.v) i.id FROM item AS i, question AS q WHERE q.number = 2 ORDER BY i.v <=> q.v, i.id) AS d;

-- Rows that pass a filter of no index are the farthest, each distance many times: the scan falls
-- back to a sort, and gives no row less, and none too many.
CREATE TABLE hidden (id integer, rare boolean, v real[]);
INSERT INTO hidden SELECT i, false, (SELECT array_agg((1 + sin(i * 12.9898 + j * 78.233))::real) FROM generate_series(1, 8) AS j) FROM generate_series(1, 20000) AS i;
INSERT INTO hidden SELECT 30000 - i, true, (SELECT array_agg((-1 - j * (i % 3))::real) FROM generate_series(1, 8) AS j) FROM generate_series(1, 6000) AS i;
CREATE INDEX ON hidden USING engramk (v);
VACUUM ANALYZE hidden;
SET enable_seqscan = on;
CREATE FUNCTION falls_back(sort_by text, k integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (ANALYZE, FORMAT json) SELECT id FROM hidden WHERE rare ORDER BY %s LIMIT %s', sort_by, k) INTO plan;
    RETURN plan::text ~ 'Incremental Sort.*"Fallbacks": 1';
END $$;
CREATE FUNCTION hidden_differences(sort_by text, k integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('SELECT array_agg(id) FROM (SELECT id FROM hidden WHERE rare ORDER BY %s LIMIT %s) AS n', sort_by, k);
    by_index integer[];
    by_sort integer[];
BEGIN
    EXECUTE statement INTO by_index;
    SET LOCAL enable_indexscan = off;
    EXECUTE statement INTO by_sort;
    SET LOCAL enable_indexscan = on;
    RETURN (SELECT count(*) FROM unnest(by_index, by_sort) AS n (a, b) WHERE a IS DISTINCT FROM b);
END $$;
SELECT sort_by, bool_or(falls_back(sort_by, k)) AS falls_back, sum(hidden_differences(sort_by, k)) AS differences
FROM unnest(ARRAY['v <=> ''{1,1,1,1,1,1,1,1}'', id', 'v <-> ''{1,1,1,1,1,1,1,1}'', -id']) AS sort_by, unnest(ARRAY[1, 2, 3, 10, 40, 1999, 2000, 2001, 6000]) AS k
GROUP BY sort_by ORDER BY sort_by;
SELECT g, array_agg(n.id ORDER BY n.id) FROM generate_series(1, 2) AS g, LATERAL (SELECT id FROM hidden WHERE rare AND g > 0 ORDER BY v <=> '{1,1,1,1,1,1,1,1}', id LIMIT 3) AS n GROUP BY g ORDER BY g;

-- of a table that a constant condition empties, and of rows by their place
SET enable_sort = off;
SELECT count(*) FROM (SELECT id FROM item WHERE 1 = 0 ORDER BY v <=> '{1,2}', id LIMIT 5) AS n;
SELECT count(*) FROM (SELECT id FROM item WHERE kind = NULL ORDER BY v <=> '{1,2}', id LIMIT 5) AS n;
RESET enable_sort;
SET engramk.enable_fallback = off;
SELECT is_by_index('SELECT id FROM item WHERE ctid <> ''(4294967295,0)'' ORDER BY v <=> ''{1,2}'', id LIMIT 3') <= (current_setting('server_version_num')::integer >= 170000) AS place,
    is_by_index('SELECT id FROM item WHERE (SELECT o.kind FROM item AS o WHERE o.ctid = item.ctid) = kind ORDER BY v <=> ''{1,2}'', id LIMIT 3') <= (current_setting('server_version_num')::integer >= 170000) AS place_in_subselect;

DROP TABLE item, divided, hidden CASCADE;
