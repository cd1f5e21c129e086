-- Columns after the vector, which filter: every answer is that of the sequential scan.
SET client_min_messages = warning;
CREATE SCHEMA filter_columns;
SET search_path = filter_columns, public;
SET enable_sort = off;
SET jit = off;
\set ECHO none
\i test/index/vector_type.sql
\set ECHO all
CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
CREATE FUNCTION vec(i int, dims int) RETURNS vec LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((hashint8(i * 1000 + j)::float8 / 2147483648)::real ORDER BY j)::vec FROM generate_series(1, dims) j$$;
CREATE TABLE item AS SELECT i AS id, CASE WHEN i % 97 <> 0 THEN vec(i, 24) END AS v,
    (i % 50)::smallint AS i2, i % 500 AS i4, (i % 7)::bigint * 10000000000 AS i8, i % 3 = 0 AS b,
    'tenant ' || i % 100 AS t, md5((i % 30)::text)::uuid AS u, DATE '2024-01-01' + i % 400 AS d,
    TIMESTAMP '2024-01-01' + i * INTERVAL '1 hour' AS ts, TIMESTAMPTZ '2024-01-01' + i * INTERVAL '1 minute' AS tz,
    (i % 11) / 10.0 AS n, (ARRAY['sad', 'fine', 'glad']::mood[])[i % 3 + 1] AS m, NULLIF(i % 5, 0) AS with_null
    FROM generate_series(1, 2000) i;
CREATE INDEX item_v ON item USING engramk (v, i2, i4, i8, b, t, u, d, ts, tz, n, m, with_null);
ANALYZE item;
SELECT opcname, amvalidate(o.oid) FROM pg_opclass o JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'engramk' AND (opcname LIKE 'engram_%' OR amvalidate(o.oid) IS NOT TRUE) ORDER BY 1;

-- What the index says is what the table says
CREATE FUNCTION distances(filter text, wanted int, by_index bool) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE result float8[]; plan text := ''; line text; query text := format(
    'SELECT array_agg(x) FROM (SELECT v <=> %L AS x FROM item WHERE %s ORDER BY v <=> %L LIMIT %s) s', vec(7, 24), filter, vec(7, 24), wanted);
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan := plan || line; END LOOP;
    IF by_index AND plan NOT LIKE '%Index Cond%' THEN RAISE WARNING 'no index condition: %', filter; END IF;
    EXECUTE query INTO result;
    RETURN result;
END $$;
CREATE TABLE filter (f text);
INSERT INTO filter VALUES ('i2 = 7::smallint'), ('i2 = 7'), ('i2 = 7::bigint'), ('i2 < 3'), ('i2 > 100000'), ('i2 < 100000'), ('i2 = 100000'),
    ('i4 = 77'), ('i4 = 77::smallint'), ('i4 = 77::bigint'), ('i4 BETWEEN 10 AND 20'), ('i4 >= 490::bigint'), ('i4 > 5000000000'), ('i4 < 5000000000'), ('i4 < -5000000000'),
    ('i8 = 30000000000'), ('i8 = 0'), ('i8 > 30000000000'), ('i8 <= 10000000000::bigint'), ('i8 < 1::smallint'),
    ('b'), ('NOT b'), ('b = true'), ('t = ''tenant 42'''), ('t = ''nobody'''), ('u = md5(''3'')::uuid'),
    ('d = DATE ''2024-02-02'''), ('d < DATE ''2024-01-10'''), ('d >= ''infinity'''), ('d > ''-infinity'''), ('ts < TIMESTAMP ''2024-01-05'''), ('ts > ''-infinity'''),
    ('tz BETWEEN TIMESTAMPTZ ''2024-01-02'' AND TIMESTAMPTZ ''2024-01-03'''), ('n = 0.5'), ('n = 0.50'), ('n = ''NaN'''), ('m = ''fine'''),
    ('b IS TRUE'), ('b IS FALSE'), ('b IS NOT TRUE'),
    ('i2 IN (1, 2, 49)'), ('i4 = ANY (ARRAY[1, NULL, 499, 7000])'), ('i4 = ANY (ARRAY[5000000000, 12::bigint])'), ('i4 = ANY (NULL::int[])'), ('i4 = ANY (''{}''::int[])'),
    ('t IN (''tenant 1'', ''tenant 2'', ''nobody'')'), ('i8 IN (0, 60000000000)'), ('m IN (''sad'', ''glad'')'), ('u = ANY (ARRAY[md5(''1'')::uuid, md5(''29'')::uuid])'),
    ('d IN (''2024-01-01'', ''2024-12-31'')'), ('i4 < ANY (ARRAY[3, 5])'), ('i4 > ALL (ARRAY[3, 495])'), ('i4 IN (1, 2) AND b'), ('i4 IN (1, 77, 99, 100, 101, 333, 400, 8000)'), ('i8 IN (0, 1, 2, 3, 4, 10000000000, 10000000001)'),
    ('i4 = ANY (ARRAY(SELECT generate_series(0, 9000, 3)))'), ('i8 = ANY (ARRAY(SELECT generate_series(0, 60000000000, 20000000)))'),
    ('with_null IS NULL'), ('with_null IS NOT NULL'), ('with_null = NULL'), ('with_null = 3'), ('v IS NULL'), ('v IS NOT NULL AND i2 = 7'),
    ('i2 = 7 AND t = ''tenant 57'''), ('i2 = 7 AND t = ''tenant 58'''), ('i4 > 250 AND i4 < 260 AND b AND m = ''sad'''), ('i2 = 7 AND id % 2 = 0');
SELECT f, w FROM filter, unnest(ARRAY[1, 10, 10000]) w WHERE distances(f, w, true) IS DISTINCT FROM distances(f, w, false);
SELECT f, cardinality(distances(f, 100000, true)) AS rows FROM filter ORDER BY f;
SELECT engram_index_check('item_v');

-- It is counted what was looked at, and what passed
SELECT engram_stat_reset();
SELECT cardinality(distances('i4 = 77', 3, true)) AS rows;
SELECT filter_codes, passed, passed = (SELECT count(*) FROM item WHERE i4 = 77) AS right
FROM engram_stat_filters WHERE indexrelid = 'item_v'::regclass;
SELECT coarse_codes + fine_codes < 2000 AS few_codes FROM engram_stat_indexes WHERE indexrelid = 'item_v'::regclass;

-- Inserts, updates of a filter alone, deletes, and entries that are used again
INSERT INTO item SELECT i, vec(i, 24), i % 50, i % 500, 1, true, 'tenant 1', NULL, 'infinity', '-infinity', 'infinity', 'NaN', NULL, 3 FROM generate_series(6001, 7000) i;
UPDATE item SET i2 = 7, t = 'tenant 42' WHERE id % 10 = 3;
DELETE FROM item WHERE id % 4 = 1;
VACUUM item;
INSERT INTO item SELECT i, vec(i, 24), 7, NULL, 0, false, 'tenant 42', md5('3')::uuid, '2024-02-02', now(), now(), 0.5, 'sad', NULL FROM generate_series(9001, 10000) i;
SELECT engram_index_check('item_v') = count(*) FROM item;
SELECT f, w FROM filter, unnest(ARRAY[1, 10, 100000]) w WHERE distances(f, w, true) IS DISTINCT FROM distances(f, w, false);
REINDEX INDEX item_v;
SELECT engram_index_check('item_v') = count(*) FROM item;
SELECT f, w FROM filter, unnest(ARRAY[1, 10, 100000]) w WHERE distances(f, w, true) IS DISTINCT FROM distances(f, w, false);

-- Created empty, where NULLs come first; and filled after that
CREATE TABLE early (LIKE item);
CREATE INDEX early_v ON early USING engramk (v, i2, t);
INSERT INTO early (v, i2, t) SELECT NULL, i % 50, 'tenant ' || i % 100 FROM generate_series(1, 100) i;
INSERT INTO early SELECT * FROM item;
VACUUM early;
SELECT engram_index_check('early_v') = count(*), count(*) - count(v) AS nulls FROM early;
SET enable_seqscan = off;
SELECT array_agg(i2 ORDER BY i2) FROM (SELECT i2 FROM early WHERE i2 = 7 AND t = 'tenant 57' ORDER BY v <=> vec(7, 24)) s;
SELECT count(*), count(v) FROM (SELECT v FROM early WHERE i2 IN (7, 8) ORDER BY v <=> vec(7, 24) LIMIT 100000) s;
RESET enable_seqscan;
SELECT count(*), count(v) FROM early WHERE i2 IN (7, 8);

-- Where all rows are about as far away, bounds tell little, and a pass by keys comes after
-- the first: every row, in order
CREATE TABLE shell AS SELECT i AS id, i % 3 > 0 AS kind, ARRAY(SELECT (x / CASE WHEN nr = 1 THEN 10000 ELSE sqrt(nr) END)::real
                                                              FROM unnest(vec(i, 24)::real[]) WITH ORDINALITY AS e (x, nr))::vec AS v
    FROM generate_series(1, 9000) i;
INSERT INTO shell SELECT 10000 + id, kind, v FROM shell WHERE id % 100 = 0;
CREATE INDEX shell_v ON shell USING engramk (v, kind);
ANALYZE shell;
CREATE FUNCTION of_shell(operator text, wanted int, by_index bool) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE result float8[]; query vec := '{1}'::real[] || array_fill(0::real, ARRAY[23]); BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true);
    EXECUTE format('SELECT array_agg(x) FROM (SELECT v %1$s $1 AS x FROM shell WHERE kind ORDER BY v %1$s $1 LIMIT %2$s) s', operator, wanted) INTO result USING query;
    RETURN result;
END $$;
SELECT basis > 0 AS has_basis FROM engram_index_info('shell_v');
SELECT engram_stat_reset();
SELECT cardinality(of_shell('<=>', 10, true)) AS rows;
SELECT passes > 1 AS another_pass FROM engram_stat_indexes WHERE indexrelid = 'shell_v'::regclass;
SELECT o, w FROM unnest('{<=>,<->,<#>}'::text[]) o, unnest(ARRAY[10, 300, 3000, 10000]) w
WHERE of_shell(o, w, true) IS DISTINCT FROM of_shell(o, w, false);
SET engramk.arena_size = '64kB';
SELECT o, w FROM unnest('{<=>,<->,<#>}'::text[]) o, unnest(ARRAY[10, 300, 3000, 10000]) w
WHERE of_shell(o, w, true) IS DISTINCT FROM of_shell(o, w, false);
RESET engramk.arena_size;

-- What makes no sense
CREATE INDEX ON item USING engramk (i2, v);
CREATE INDEX ON item USING engramk (i2);
CREATE INDEX ON item USING engramk (v, v);
CREATE INDEX ON item USING engramk (v) INCLUDE (i2);
CREATE UNIQUE INDEX ON item USING engramk (v, i2);
CREATE INDEX ON item USING engramk (v, (ARRAY[i2]));
CREATE TABLE excluded (v real[], i2 int, EXCLUDE USING engramk (v WITH =, i2 WITH =));
CREATE TABLE excluded (v real[], i2 int, EXCLUDE USING engramk (i2 WITH =));
-- An order is needed, or it is not asked
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE i2 = 7;
DROP SCHEMA filter_columns CASCADE;
