-- A scan by the index under a filter falls back to the best plan without the index
-- when few of the nearest rows pass: with the same rows, none twice, none lost.
CREATE SCHEMA fallback;
SET search_path = fallback, public;
SET client_min_messages = warning;
CREATE FUNCTION v(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$SELECT array_agg((sin(i * (j + 1)) + CASE WHEN j = 0 THEN 3 * cos(i) ELSE 0 END)::real ORDER BY j) FROM generate_series(0, 11) j$$;
CREATE TABLE item (id int, far bool, part int, v real[]) WITH (autovacuum_enabled = off);
-- half of the rows point the other way; of the others, a few are called far
INSERT INTO item SELECT i, cos(i) < 0 OR i % 500 = 0, i % 4, v(i) FROM generate_series(1, 8000) i;
INSERT INTO item SELECT i, i % 2 = 0, 1, CASE WHEN i % 3 > 0 THEN array_fill(0::real, '{12}') END FROM generate_series(8001, 8020) i;
CREATE INDEX item_v ON item USING engramk (v);
VACUUM ANALYZE item;
SET engramk.enable_fallback = on;

-- What it looks like.
CREATE FUNCTION explained(query text, analyzed bool = false) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (COSTS off%s) %s', CASE WHEN analyzed THEN ', ANALYZE, TIMING off, SUMMARY off, BUFFERS off' END, query) LOOP
        IF line !~ 'Memory|Planning|Index Searches|^ *Storage' THEN
            RETURN NEXT regexp_replace(regexp_replace(line, '''\{.*\}''', '$q', 'g'), '(rows|Filter|Cost)(=|: )[0-9.]+', '\1\2...', 'g');
        END IF;
    END LOOP;
END $$;
SELECT explained(format('SELECT id FROM item WHERE far ORDER BY v <=> %L LIMIT 10', v(44)));
SELECT explained(format('SELECT id FROM item WHERE far ORDER BY v <=> %L LIMIT 10', v(44)), true);
SELECT explained(format('SELECT id FROM item WHERE NOT far ORDER BY v <=> %L LIMIT 10', v(44)), true);
-- Not without a filter, nor when the administrator does not want it, nor when rows are
-- locked, changed, or drawn by lot.
CREATE FUNCTION is_offered(query text) RETURNS bool LANGUAGE sql AS $$SELECT bool_or(line ~ 'EngramkFallback') FROM explained(query) line$$;
SELECT is_offered(format(query, v(44))) AS offered, query FROM unnest(ARRAY[
    'SELECT id FROM item WHERE far ORDER BY v <=> %L LIMIT 10',
    'SELECT id FROM item ORDER BY v <=> %L LIMIT 10',
    'SELECT id FROM item WHERE far ORDER BY v <=> %L LIMIT 10 FOR UPDATE',
    'SELECT id FROM item WHERE far AND random() < 0.5 ORDER BY v <=> %L LIMIT 10',
    'SELECT id FROM item WHERE far AND (SELECT random() < 0.5 WHERE item.part >= 0) ORDER BY v <=> %L LIMIT 10',
    'DELETE FROM item WHERE id IN (SELECT id FROM item WHERE far ORDER BY v <=> %L LIMIT 1)',
    'SELECT id FROM item TABLESAMPLE system (50) WHERE far ORDER BY v <=> %L LIMIT 10']) AS query;
SET engramk.enable_fallback = off;
SELECT is_offered(format('SELECT id FROM item WHERE far ORDER BY v <=> %L LIMIT 10', v(44)));
SET engramk.enable_fallback = on;

-- Each way to write it, with all rows that are asked for, by each plan.
CREATE FUNCTION answer(query text, setting text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    result text[];
BEGIN
    PERFORM set_config('engramk.enable_fallback', CASE WHEN setting = 'fallback' THEN 'on' ELSE 'off' END, true),
        set_config('enable_indexscan', CASE WHEN setting = 'without' THEN 'off' ELSE 'on' END, true);
    EXECUTE format('SELECT array_agg(q::text) FROM (%s) q', query) INTO result;
    PERFORM set_config('engramk.enable_fallback', 'on', true), set_config('enable_indexscan', 'on', true);
    RETURN result;
END $$;
CREATE FUNCTION compare(query text, OUT offered bool, OUT falls_back bool, OUT rows int, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
    wanted text[] := answer(query, 'without');
BEGIN
    offered := is_offered(query);
    falls_back := bool_or(line ~ 'Fallbacks: [1-9]') FROM explained(query, true) line;
    rows := cardinality(wanted);
    -- in some releases PostgreSQL's own loop loses ctid
    same := answer(query, 'fallback') = wanted AND (answer(query, 'index') = wanted OR query ~ 'ctid');
END $$;
SELECT c.*, query FROM unnest(ARRAY[
    'SELECT id, v <=> %1$L FROM item WHERE far ORDER BY v <=> %1$L LIMIT 10',
    'SELECT id, v <-> %1$L FROM item WHERE far ORDER BY v <-> %1$L LIMIT 200',
    'SELECT v <=> %1$L FROM item WHERE far ORDER BY v <=> %1$L LIMIT 10 OFFSET 10',
    'SELECT v <=> %1$L FROM item WHERE far ORDER BY v <=> %1$L FETCH FIRST 10 ROWS WITH TIES',
    'SELECT id, ctid, tableoid, item FROM item WHERE far ORDER BY v <=> %1$L LIMIT 10',
    'SELECT 1 FROM item WHERE far ORDER BY v <=> %1$L LIMIT 10',
    'SELECT id, upper(far::text) FROM item WHERE far AND part = ANY (ARRAY(SELECT 1)) ORDER BY v <=> %1$L LIMIT 10',
    'SELECT id FROM item WHERE far AND EXISTS (SELECT FROM item AS other WHERE other.id = item.id - 1) ORDER BY v <=> %1$L LIMIT 10',
    'SELECT (SELECT array_agg(n.id) FROM (SELECT id FROM item WHERE far ORDER BY v <=> q.v LIMIT 5) n) FROM (SELECT v FROM item ORDER BY id LIMIT 20) q',
    'SELECT n.* FROM (SELECT id, v FROM item WHERE id %% 400 = 1 AND id < 8000) q, LATERAL (SELECT id, v <=> q.v FROM item WHERE far AND part < 3 ORDER BY v <=> q.v LIMIT 5) n',
    'SELECT id FROM item WHERE far AND part > 1 AND (id IN (SELECT other.id FROM item AS other WHERE other.far) OR part = 9) ORDER BY v <=> %1$L LIMIT 10',
    'SELECT generate_series(1, id %% 3) FROM item WHERE far ORDER BY v <=> %1$L LIMIT 10',
    'SELECT a.id FROM item a JOIN item b ON b.id = a.id + 1 WHERE a.far ORDER BY a.v <=> %1$L LIMIT 10'
    ]) AS query, compare(format(query, v(44))) c;
-- All rows, zero vectors and NULLs last.
SET cursor_tuple_fraction = 0.001;
BEGIN;
DO $$
DECLARE
    c refcursor;
    r record;
    ids int[] := '{}';
    distances float8[] := '{}';
BEGIN
    OPEN c FOR SELECT id, v <=> fallback.v(44) AS d FROM item WHERE far ORDER BY v <=> fallback.v(44);
    LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        ids := ids || r.id;
        distances := distances || r.d;
    END LOOP;
    RAISE WARNING '% rows, % different, in order: %, all: %', cardinality(ids), (SELECT count(DISTINCT i) FROM unnest(ids) i),
        distances = ARRAY(SELECT d FROM unnest(distances) d ORDER BY d), (SELECT array_agg(i ORDER BY i) FROM unnest(ids) i) = ARRAY(SELECT id FROM item WHERE far ORDER BY id);
END $$;
COMMIT;
RESET cursor_tuple_fraction;

-- The row that a cursor is at, by both plans.
BEGIN;
DECLARE at CURSOR FOR SELECT id FROM item WHERE far ORDER BY v <=> (SELECT v FROM item WHERE id = 44) LIMIT 20;
FETCH 1 FROM at;
UPDATE item SET part = -1 WHERE CURRENT OF at;
FETCH 12 FROM at \g /dev/null
UPDATE item SET part = -1 WHERE CURRENT OF at;
CLOSE at;
SELECT array_agg(id ORDER BY v <=> (SELECT v FROM item WHERE id = 44)) = (SELECT ARRAY[ids[1], ids[13]]
    FROM (SELECT array_agg(id) AS ids FROM (SELECT id FROM item WHERE far ORDER BY v <=> (SELECT v FROM item WHERE id = 44)) AS q) AS q)
FROM item WHERE part = -1;
ROLLBACK;

-- A generic plan.
SET plan_cache_mode = force_generic_plan;
PREPARE nearest(real[], bool) AS SELECT id FROM item WHERE far = $2 ORDER BY v <=> $1 LIMIT 7;
SELECT is_offered('EXECUTE nearest(''{1,1,1,1,1,1,1,1,1,1,1,1}'', true)');
CREATE TABLE got AS EXECUTE nearest('{1,1,1,1,1,1,1,1,1,1,1,1}', true);
SELECT array_agg(id) = ARRAY(SELECT id FROM item WHERE far ORDER BY v <=> '{1,1,1,1,1,1,1,1,1,1,1,1}'::real[] LIMIT 7) FROM got;
RESET plan_cache_mode;

-- What is refused by the operator is refused here.
\set VERBOSITY terse
SELECT id FROM item WHERE far ORDER BY v <=> '{1,2}'::real[] LIMIT 10;
SELECT count(*) FROM (SELECT id FROM item WHERE far ORDER BY v <=> NULL::real[] LIMIT 10) q;

-- Partitions, each with its own fallback; and other eyes: row security.
CREATE TABLE parted (id int, far bool, v real[]) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (4000);
CREATE TABLE parted_2 (v real[], far bool, id int);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (4000) TO (MAXVALUE);
INSERT INTO parted SELECT id, far, v FROM item;
CREATE INDEX ON parted USING engramk (v);
VACUUM ANALYZE parted;
SELECT c.*, query FROM unnest(ARRAY[
    'SELECT id, v <=> %1$L FROM parted WHERE far ORDER BY v <=> %1$L LIMIT 10',
    'SELECT id, parted FROM parted WHERE far ORDER BY v <=> %1$L LIMIT 10'
    ]) AS query, compare(format(query, v(44))) c;
CREATE ROLE fallback_reader;
GRANT USAGE ON SCHEMA fallback TO fallback_reader;
GRANT SELECT ON item TO fallback_reader;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_far ON item USING (far);
SET ROLE fallback_reader;
SELECT c.* FROM compare(format('SELECT id, v <=> %1$L FROM item ORDER BY v <=> %1$L LIMIT 10', v(44))) c;
RESET ROLE;
DROP SCHEMA fallback CASCADE;
DROP ROLE fallback_reader;
