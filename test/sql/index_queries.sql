-- What an exact index is asked in: filters, cursors, joins, parameters; which
-- expressions the planner matches and which it does not; what NULLs, zero
-- vectors and bad queries do.
CREATE SCHEMA index_queries;
SET search_path = index_queries, public;
SET jit = off;

CREATE TABLE item (id int, tenant int, v real[]);
-- Tenant 1 has every second row, 10 a hundred, 100 ten, 1000 one.
INSERT INTO item
SELECT i, CASE WHEN i % 2 = 1 THEN 1 WHEN i % 60 = 0 THEN 10 WHEN i % 600 = 2 THEN 100 WHEN i = 4 THEN 1000 ELSE 0 END,
    ARRAY(SELECT (sin(i * j) + hashint4(i * 40 + j) % 1000 * 0.0001)::real FROM generate_series(1, 40) AS j)
FROM generate_series(1, 6000) AS i;
CREATE INDEX item_v ON item USING engramk (v);
CREATE FUNCTION query(n int) RETURNS real[] LANGUAGE sql STABLE AS $$ SELECT v FROM index_queries.item WHERE id = n $$;
ANALYZE item;

-- Runs a statement by the index and by sequential scan; are the results the same?
-- Its first column is the distance, so ties, which there are none of, would show.
CREATE FUNCTION answer(statement text, by_index boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r text;
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true),
        set_config('enable_sort', (NOT by_index)::text, true);
    EXECUTE format('SELECT string_agg(x::text, E''\n'') FROM (%s) AS x', statement) INTO r;
    RETURN r;
END $$;
CREATE FUNCTION rows_and_equal(statement text, OUT rows bigint, OUT equal boolean) LANGUAGE sql AS $$
    SELECT count(*), bool_and(i.r = s.r)
    FROM string_to_table(answer(statement, true), E'\n') WITH ORDINALITY AS i(r, n)
        FULL JOIN string_to_table(answer(statement, false), E'\n') WITH ORDINALITY AS s(r, n) USING (n)
$$;

-- Filters: LIMIT rows come if there are as many, whatever the selectivity.
SELECT tenant, k, r.* FROM unnest(ARRAY[1, 10, 100, 1000, 7]) AS tenant, unnest(ARRAY[1, 10, 50]) AS k,
    rows_and_equal(format('SELECT v <=> query(17) AS d, id FROM item WHERE tenant = %s ORDER BY v <=> query(17) LIMIT %s', tenant, k)) AS r
ORDER BY tenant, k;
SELECT * FROM rows_and_equal('SELECT v <-> query(17) AS d, id FROM item WHERE v <-> query(17) < 2.9 ORDER BY v <-> query(17)');
SELECT * FROM rows_and_equal('SELECT v <-> query(17) AS d, id FROM item WHERE id IN (5, 17, 5999) ORDER BY v <-> query(17) LIMIT 10');
SELECT * FROM rows_and_equal('SELECT v <#> query(17) AS d, id FROM item ORDER BY v <#> query(17) LIMIT 10 OFFSET 990');
SELECT * FROM rows_and_equal('SELECT d, id FROM (SELECT v <=> query(17) AS d, * FROM item) AS x WHERE tenant = 1 ORDER BY d LIMIT 5');
SELECT * FROM rows_and_equal('SELECT v <=> query(17) AS d, min(id) FROM item GROUP BY 1 ORDER BY 1 LIMIT 10');

-- Rescans: neighbours of many rows, one scan each
SELECT * FROM rows_and_equal('SELECT n.d, a.id, n.id FROM item AS a CROSS JOIN LATERAL
    (SELECT b.v <=> a.v AS d, b.id FROM item AS b ORDER BY b.v <=> a.v LIMIT 4) AS n WHERE a.id <= 60');
SELECT * FROM rows_and_equal('SELECT n.d, a.id, n.id FROM item AS a CROSS JOIN LATERAL
    (SELECT b.v <-> a.v AS d, b.id FROM item AS b WHERE b.tenant = a.tenant ORDER BY b.v <-> a.v LIMIT 3) AS n WHERE a.id % 300 = 0');
SELECT * FROM rows_and_equal('SELECT n, (SELECT id FROM item ORDER BY v <#> query(n) LIMIT 1) FROM generate_series(1, 30) AS n');
-- An outer NULL makes the query NULL for one of the scans.
SELECT * FROM rows_and_equal('SELECT n.d, a.n, n.id FROM (VALUES (1, query(1)), (2, NULL), (3, query(3))) AS a(n, q) CROSS JOIN LATERAL
    (SELECT b.v <=> a.q AS d, CASE WHEN q IS NOT NULL THEN b.id END AS id FROM item AS b ORDER BY b.v <=> a.q LIMIT 5) AS n');
-- PL/pgSQL: one plan, many queries
CREATE FUNCTION nearest(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    q real[] := query(n);
    result int;
BEGIN
    SELECT id INTO result FROM item ORDER BY v <=> q LIMIT 1;
    RETURN result;
END $$;
SET enable_seqscan = off;
SELECT count(*) FILTER (WHERE nearest(n) = n) AS found FROM generate_series(1, 50) AS n;

-- Prepared statements, with custom and with generic plans
PREPARE by_parameter(real[], int) AS SELECT id FROM item ORDER BY v <=> $1 LIMIT $2;
SET plan_cache_mode = force_custom_plan;
EXECUTE by_parameter(query(17), 1);
EXPLAIN (COSTS OFF) EXECUTE by_parameter(ARRAY[1, 2]::real[], 1);
SET plan_cache_mode = force_generic_plan;
EXECUTE by_parameter(query(17), 1);
EXECUTE by_parameter(query(5000), 1);
EXPLAIN (COSTS OFF) EXECUTE by_parameter(ARRAY[1, 2]::real[], 1);
EXECUTE by_parameter('{1,2}', 1);
EXECUTE by_parameter(query(5001), 1);
RESET plan_cache_mode;

-- Cursors: past every LIMIT to the last row, two at once, with budgets so small
-- that each needs several passes.  A SCROLL cursor holds rows to go back to.
SET engramk.arena_size = '64kB';
CREATE FUNCTION to_the_end(statement text) RETURNS TABLE (rows bigint, ids bigint, ascending boolean) LANGUAGE plpgsql AS $$
DECLARE
    c refcursor;
    r record;
    last float8 := '-Infinity';
    seen int[] := '{}';
BEGIN
    ascending := true;
    OPEN c NO SCROLL FOR EXECUTE statement;
    LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        ascending := ascending AND r.d >= last;
        last := r.d;
        seen := seen || r.id;
    END LOOP;
    CLOSE c;
    SELECT count(*), count(DISTINCT i) INTO rows, ids FROM unnest(seen) AS i;
    RETURN NEXT;
END $$;
SELECT * FROM to_the_end('SELECT id, v <=> query(9) AS d FROM item ORDER BY v <=> query(9)');
CREATE FUNCTION rows_left(c refcursor) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    MOVE FORWARD ALL FROM c;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
BEGIN;
DECLARE one CURSOR FOR SELECT id FROM item ORDER BY v <-> query(17);
DECLARE two CURSOR FOR SELECT id FROM item ORDER BY v <-> query(18);
FETCH 1 FROM one;
FETCH 1 FROM two;
MOVE 2998 FROM one;
MOVE 5998 FROM two;
FETCH 5 FROM two;
SELECT rows_left('one');
FETCH 1 FROM one;
DECLARE three SCROLL CURSOR FOR SELECT id FROM item ORDER BY v <-> query(17);
FETCH 1 FROM three;
MOVE 100 FROM three;
FETCH ABSOLUTE 1 FROM three;
CLOSE two;
-- Rows that come and go meanwhile are not for a cursor that is open.
DECLARE four CURSOR FOR SELECT id FROM item ORDER BY v <=> query(17);
FETCH 1 FROM four;
DELETE FROM item WHERE id BETWEEN 18 AND 1017;
INSERT INTO item SELECT -i, 0, query(17) FROM generate_series(1, 1000) AS i;
SELECT rows_left('four');
ROLLBACK;
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM item ORDER BY v <=> query(17);
FETCH 1 FROM held;
SELECT rows_left('held');
CLOSE held;
RESET engramk.arena_size;

-- What the planner matches: a constant, a parameter (above), a sub-select, a
-- stable function, LATERAL, all three operators, either order of the operands.
CREATE TABLE small (id int, v real[]);
INSERT INTO small VALUES (1, '{1,0}'), (2, '{0,1}'), (3, '{1,1}'), (4, NULL), (5, '{0,0}'), (6, '{-1,0}');
CREATE INDEX small_v ON small USING engramk (v);
CREATE FUNCTION stable_query() RETURNS real[] LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN '{1,0}'; END $$;
CREATE FUNCTION volatile_query() RETURNS real[] LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN '{1,0}'; END $$;
SET enable_sort = off;
SET enable_bitmapscan = off;
CREATE FUNCTION uses_index(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        IF line LIKE '%using small_v%' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
SELECT uses_index(statement), statement FROM unnest(ARRAY[
    $$SELECT id FROM small ORDER BY v <=> '{1,0}'$$,
    $$SELECT id FROM small ORDER BY v <#> '{1,0}'$$,
    $$SELECT id FROM small ORDER BY v <-> '{1,0}'$$,
    $$SELECT id FROM small ORDER BY '{1,0}' <-> v$$,
    $$SELECT id FROM small ORDER BY v <=> '{1,0}' ASC NULLS LAST$$,
    $$SELECT id FROM small ORDER BY v <=> (SELECT v FROM small WHERE id = 1)$$,
    $$SELECT id FROM small ORDER BY v <=> stable_query()$$,
    $$SELECT id FROM small ORDER BY v <=> NULL$$,
    $$SELECT id, v <=> '{1,0}' AS d FROM small ORDER BY d$$,
    $$SELECT a.id FROM small AS a, LATERAL (SELECT id FROM small AS b ORDER BY b.v <=> a.v LIMIT 1) AS n$$,
    $$SELECT min(v <=> '{1,0}') FROM small WHERE id > 2$$,
    -- and not:
    $$SELECT id FROM small ORDER BY v <=> volatile_query()$$,
    $$SELECT id FROM small ORDER BY v <=> '{1,0}' DESC$$,
    $$SELECT id FROM small ORDER BY v <=> '{1,0}' NULLS FIRST$$,
    $$SELECT id FROM small ORDER BY v <+> '{1,0}'$$,
    $$SELECT id FROM small ORDER BY engram_cosine_distance(v, '{1,0}')$$,
    $$SELECT id FROM small ORDER BY engram_cosine(v, '{1,0}') DESC$$,
    $$SELECT id FROM small ORDER BY (v <=> '{1,0}') + 1$$,
    $$SELECT id FROM small ORDER BY v <=> v$$,
    -- without an order there is nothing for it to do:
    $$SELECT id FROM small$$,
    $$SELECT count(*) FROM small$$,
    $$SELECT v FROM small WHERE v IS NULL$$,
    $$SELECT id FROM small WHERE v = '{1,0}'$$,
    $$SELECT id FROM small WHERE v <=> '{1,0}' < 0.5$$]) WITH ORDINALITY AS s(statement, n) ORDER BY n;

-- NULLs come last, and a NULL query orders nothing.  A zero vector is at cosine
-- distance 1 from everything.
SELECT d, array_agg(id ORDER BY id) AS ids
FROM (SELECT row_number() OVER () AS n, * FROM (SELECT id, v <=> '{1,0}' AS d FROM small ORDER BY v <=> '{1,0}') AS x) AS y
GROUP BY d ORDER BY min(n);
SELECT id, v <-> '{0,0}' AS d FROM small WHERE id IN (4, 5) ORDER BY v <-> '{0,0}';
SELECT count(id), count(d) FROM (SELECT id, v <=> '{0,0}' AS d FROM small ORDER BY v <=> '{0,0}') AS x;
SELECT count(id), count(d) FROM (SELECT id, v <=> NULL AS d FROM small ORDER BY v <=> NULL) AS x;
SELECT id, v <=> '{1,0}' AS d FROM small WHERE v IS NULL OR id = 6 ORDER BY v <=> '{1,0}';

-- Bad queries get the operator's own error, and the next is answered.
SELECT id FROM small ORDER BY v <=> '{1,0,0}';
SELECT id FROM small ORDER BY v <-> '{}';
SELECT id FROM small ORDER BY v <#> '{1,NaN}';
SELECT id FROM small ORDER BY v <=> '{Infinity,0}';
SELECT id FROM small ORDER BY v <=> '{1,NULL}';
SELECT id FROM small ORDER BY v <=> '{{1,0}}';
SELECT id FROM small ORDER BY v <=> (SELECT ARRAY[1, 'NaN']::real[]) LIMIT 1;
PREPARE bad(real[]) AS SELECT id FROM small ORDER BY v <-> $1 LIMIT 1;
EXECUTE bad('{1,2,3}');
EXECUTE bad('{1,NaN}');
EXECUTE bad('[5:6]={-1,0}');
-- unless nobody asks for a row
SELECT id FROM small ORDER BY v <=> '{1,0,0}' LIMIT 0;

-- An index scan computes the distance of a row before its filter, a sequential
-- scan after it, and so may not come to compute any: that is the one difference.
CREATE TABLE guarded (id int, v real[]);
CREATE INDEX guarded_v ON guarded USING engramk (v);
CREATE FUNCTION outcome(statement text, by_index boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true),
        set_config('enable_sort', (NOT by_index)::text, true);
    EXECUTE format('SELECT count(*) FROM (%s OFFSET 0) AS x', statement) INTO rows;
    RETURN rows || ' rows';
EXCEPTION WHEN data_exception THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION outcomes() RETURNS TABLE (filter text, query text, sequential text, index text) LANGUAGE sql AS $$
    SELECT f, q, outcome(s, false), outcome(s, true)
    FROM unnest(ARRAY['true', 'id < 0', 'v IS NULL', 'id = 1']) WITH ORDINALITY AS f(f, n),
        unnest(ARRAY['{1,2,3}', '{1,NaN}', '{}', '{1,2}']) WITH ORDINALITY AS q(q, m),
        format('SELECT id FROM index_queries.guarded WHERE %s ORDER BY v <-> %L', f, q) AS s
    ORDER BY n, m
$$;
-- no row
SELECT * FROM outcomes() WHERE sequential <> index OR sequential <> '0 rows';
-- a row without a vector
INSERT INTO guarded VALUES (0, NULL);
SELECT * FROM outcomes() WHERE sequential <> index OR sequential !~ '^[01] rows';
-- rows with one
INSERT INTO guarded VALUES (1, '{1,2}'), (2, '{3,4}');
SELECT * FROM outcomes();
-- whose rows are gone, but their entries are not
DELETE FROM guarded WHERE id > 0;
SELECT * FROM outcomes() WHERE sequential <> index;

-- 18 shows how often an index was searched.
CREATE FUNCTION searches(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement LOOP
        IF line LIKE '%Index Searches: %' THEN RETURN substring(line FROM '\d+'); END IF;
    END LOOP;
END $$;
SELECT current_setting('server_version_num')::int < 180000 OR
    searches('SELECT a.id FROM small AS a, LATERAL (SELECT id FROM small AS b ORDER BY b.v <=> a.v LIMIT 1) AS n') = 6 AS counted;

-- Locking rows on the way.  PostgreSQL 18.3 loses the ctid of rows that an index
-- scan has put in order, GiST's too; there the keys are found first.
CREATE TABLE disc AS SELECT i AS id, circle(point(i, i * 7 % 10), 1) AS c FROM generate_series(1, 20) AS i;
CREATE INDEX ON disc USING gist (c);
SELECT CASE WHEN bool_and(ctid IN (SELECT ctid FROM disc))
        THEN $$SELECT id FROM small ORDER BY v <=> '{0,1}' LIMIT 2 FOR UPDATE$$
        ELSE $$SELECT id FROM small
               WHERE id IN (SELECT id FROM small ORDER BY v <=> '{0,1}' LIMIT 2) ORDER BY id FOR UPDATE$$
        END AS lock_two
    FROM (SELECT ctid FROM disc ORDER BY c <-> point(3, 0) LIMIT 10) AS d \gset
BEGIN;
:lock_two;
ROLLBACK;

SELECT engram_index_check('item_v') AS item, engram_index_check('small_v') AS small;
SET client_min_messages = warning;
DROP SCHEMA index_queries CASCADE;
