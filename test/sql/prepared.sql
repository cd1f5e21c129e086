-- A query is prepared once and is never stale.  The call keeps what it
-- prepared from one row to the next, so every way in which an argument can
-- change, or seem to, is compared with the distance of two columns, for which
-- nothing is prepared.
CREATE SCHEMA prepared;
SET search_path = prepared, public;

-- Queries of two lengths, one of them out of line; few different ones, so that
-- each is seen many times, and first in a row, later again, and in turns.
CREATE TABLE query (id int PRIMARY KEY, kind text, v real[]);
CREATE TABLE candidate (id int PRIMARY KEY, kind text, v real[]);
ALTER TABLE query ALTER COLUMN v SET STORAGE EXTERNAL;
ALTER TABLE candidate ALTER COLUMN v SET STORAGE EXTERNAL;
CREATE FUNCTION make_vector(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((((i * 7919 + seed * 104729 + i * i * seed) % 2003 - 1001) / 8.0)::real ORDER BY i)
    FROM generate_series(1, dims) AS i
$$;
INSERT INTO query
SELECT id, 'short', make_vector(id, 3) FROM generate_series(1, 20) AS id
UNION ALL SELECT id, 'long', make_vector(id, 700) FROM generate_series(21, 40) AS id;
INSERT INTO candidate
SELECT id, 'short', make_vector(id, 3) FROM generate_series(101, 130) AS id
UNION ALL SELECT id, 'long', make_vector(id, 700) FROM generate_series(131, 160) AS id;
ANALYZE query, candidate;

CREATE TYPE distances AS (cosine float8, similarity float8, negative float8, dot float8, l2 float8, l1 float8);
CREATE TABLE truth AS
SELECT q.id AS q, c.id AS c, q.kind,
       ROW(q.v <=> c.v, engram_cosine(q.v, c.v), q.v <#> c.v, engram_inner_product(q.v, c.v), q.v <-> c.v, q.v <+> c.v)::distances AS d
FROM query AS q JOIN candidate AS c USING (kind);
ALTER TABLE truth ADD PRIMARY KEY (q, c);
ANALYZE truth;
SELECT count(*) AS pairs, count(DISTINCT (d).cosine) AS cosines, count(DISTINCT (d).l1) > 900 AS telling FROM truth;

-- What every path finds is put beside the truth.
CREATE TABLE found (path text, q int, c int, d distances);

-- A parameter that changes for each query: LATERAL, in both places.
INSERT INTO found
SELECT 'LATERAL first', q.id, x.* FROM query AS q,
    LATERAL (SELECT c.id, ROW(q.v <=> c.v, engram_cosine(q.v, c.v), q.v <#> c.v, engram_inner_product(q.v, c.v), q.v <-> c.v, q.v <+> c.v)::distances
             FROM candidate AS c WHERE c.kind = q.kind OFFSET 0) AS x;
INSERT INTO found
SELECT 'LATERAL second', q.id, x.* FROM query AS q,
    LATERAL (SELECT c.id, ROW(c.v <=> q.v, engram_cosine(c.v, q.v), c.v <#> q.v, engram_inner_product(c.v, q.v), c.v <-> q.v, c.v <+> q.v)::distances
             FROM candidate AS c WHERE c.kind = q.kind OFFSET 0) AS x;

-- The candidate is the one that stays, the query changes each row.
INSERT INTO found
SELECT 'LATERAL, the other loop', x.q, c.id, x.d FROM candidate AS c,
    LATERAL (SELECT q.id AS q, ROW(q.v <=> c.v, engram_cosine(q.v, c.v), q.v <#> c.v, engram_inner_product(q.v, c.v), q.v <-> c.v, q.v <+> c.v)::distances AS d
             FROM query AS q WHERE c.kind = q.kind OFFSET 0) AS x;

-- Both are expressions, and both change.
INSERT INTO found
SELECT 'no columns', q.id, c.id, ROW(a <=> b, engram_cosine(a, b), a <#> b, engram_inner_product(a, b), a <-> b, a <+> b)::distances
FROM query AS q JOIN candidate AS c USING (kind),
     LATERAL (SELECT q.v || '{}'::real[], c.v || '{}'::real[] OFFSET 0) AS e(a, b);
INSERT INTO found
SELECT 'expressions', q.id, c.id,
       ROW((q.v || '{}') <=> (c.v || '{}'), engram_cosine((q.v || '{}'), (c.v || '{}')),
           (q.v || '{}') <#> (c.v || '{}'), engram_inner_product((q.v || '{}'), (c.v || '{}')),
           (q.v || '{}') <-> (c.v || '{}'), (q.v || '{}') <+> (c.v || '{}'))::distances
FROM query AS q JOIN candidate AS c USING (kind) ORDER BY c.id % 3, q.id % 2, c.id;

-- Sub-selects that are correlated.
INSERT INTO found
SELECT 'correlated sub-select', t.q, t.c,
       ROW((SELECT q.v FROM query AS q WHERE q.id = t.q) <=> c.v, engram_cosine(c.v, (SELECT q.v FROM query AS q WHERE q.id = t.q)),
           c.v <#> (SELECT q.v FROM query AS q WHERE q.id = t.q), engram_inner_product((SELECT q.v FROM query AS q WHERE q.id = t.q), c.v),
           (SELECT q.v FROM query AS q WHERE q.id = t.q) <-> c.v, c.v <+> (SELECT q.v FROM query AS q WHERE q.id = t.q))::distances
FROM truth AS t JOIN candidate AS c ON c.id = t.c ORDER BY t.c, t.q % 7, t.q;

-- A choice by row, with runs of one and of several.
INSERT INTO found
SELECT 'CASE', CASE WHEN c.id % 5 < 3 THEN a.id ELSE b.id END, c.id,
       ROW(CASE WHEN c.id % 5 < 3 THEN a.v ELSE b.v END <=> c.v, engram_cosine(CASE WHEN c.id % 5 < 3 THEN a.v ELSE b.v END, c.v),
           c.v <#> CASE WHEN c.id % 5 < 3 THEN a.v ELSE b.v END, engram_inner_product(c.v, CASE WHEN c.id % 5 < 3 THEN a.v ELSE b.v END),
           CASE WHEN c.id % 5 < 3 THEN a.v ELSE b.v END <-> c.v, c.v <+> CASE WHEN c.id % 5 < 3 THEN a.v ELSE b.v END)::distances
FROM query AS a JOIN query AS b ON b.id = a.id + 1 AND a.kind = b.kind JOIN candidate AS c ON c.kind = a.kind;

-- A sub-select that is evaluated once, in line and out of line.
INSERT INTO found
SELECT 'sub-select evaluated once', 7, c.id,
       ROW((SELECT v FROM query WHERE id = 7) <=> v, engram_cosine((SELECT v FROM query WHERE id = 7), v),
           v <#> (SELECT v FROM query WHERE id = 7), engram_inner_product(v, (SELECT v FROM query WHERE id = 7)),
           (SELECT v FROM query WHERE id = 7) <-> v, v <+> (SELECT v FROM query WHERE id = 7))::distances
FROM candidate AS c WHERE kind = 'short';
INSERT INTO found
SELECT 'sub-select evaluated once', 27, c.id,
       ROW((SELECT v FROM query WHERE id = 27) <=> v, engram_cosine((SELECT v FROM query WHERE id = 27), v),
           v <#> (SELECT v FROM query WHERE id = 27), engram_inner_product(v, (SELECT v FROM query WHERE id = 27)),
           (SELECT v FROM query WHERE id = 27) <-> v, v <+> (SELECT v FROM query WHERE id = 27))::distances
FROM candidate AS c WHERE kind = 'long';

-- Functions in SQL: one that is inlined, one that is not, one of two statements.
CREATE FUNCTION inlined(a real[], b real[]) RETURNS distances LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(a <=> b, engram_cosine(a, b), a <#> b, engram_inner_product(a, b), a <-> b, a <+> b)::distances
$$;
CREATE FUNCTION not_inlined(a real[], b real[]) RETURNS distances LANGUAGE sql IMMUTABLE SET work_mem = '4MB' AS $$
    SELECT ROW(a <=> b, engram_cosine(a, b), a <#> b, engram_inner_product(a, b), a <-> b, a <+> b)::distances
$$;
CREATE FUNCTION in_plpgsql(a real[], b real[]) RETURNS distances LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN ROW(a <=> b, engram_cosine(a, b), a <#> b, engram_inner_product(a, b), a <-> b, a <+> b)::distances;
END $$;
CREATE FUNCTION all_of(query real[], wanted text) RETURNS TABLE (c int, d distances) LANGUAGE sql STABLE AS $$
    SELECT id, ROW(query <=> v, engram_cosine(query, v), query <#> v, engram_inner_product(query, v), query <-> v, query <+> v)::distances
    FROM candidate WHERE kind = wanted
$$;
INSERT INTO found SELECT 'SQL function, inlined', q.id, c.id, inlined(q.v, c.v) FROM query AS q JOIN candidate AS c USING (kind) ORDER BY c.id % 2, q.id;
INSERT INTO found SELECT 'SQL function, not inlined', q.id, c.id, not_inlined(q.v, c.v) FROM query AS q JOIN candidate AS c USING (kind) ORDER BY q.id, c.id;
INSERT INTO found SELECT 'SQL function, not inlined, other way', q.id, c.id, not_inlined(c.v, q.v) FROM query AS q JOIN candidate AS c USING (kind) ORDER BY q.id, c.id;
INSERT INTO found SELECT 'PL/pgSQL function', q.id, c.id, in_plpgsql(q.v, c.v) FROM query AS q JOIN candidate AS c USING (kind) ORDER BY q.id, c.id;
INSERT INTO found SELECT 'PL/pgSQL function, other way', q.id, c.id, in_plpgsql(c.v, q.v) FROM query AS q JOIN candidate AS c USING (kind) ORDER BY q.id, c.id;
INSERT INTO found SELECT 'table function in SQL', q.id, f.c, f.d FROM query AS q, all_of(q.v, q.kind) AS f;

-- PL/pgSQL keeps the call while its variables change.  The variable is taken
-- from a row, built element by element, changed in one element and back.
CREATE FUNCTION loops() RETURNS SETOF found LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    copy real[];
    one record;
    result found;
BEGIN
    FOR one IN SELECT t.*, q.v AS a, b.v AS b FROM truth AS t JOIN query AS q ON q.id = t.q JOIN candidate AS b ON b.id = t.c ORDER BY t.c, t.q LOOP
        query := one.a;
        result := ROW('PL/pgSQL loop', one.q, one.c,
            ROW(query <=> one.b, engram_cosine(one.b, query), query <#> one.b, engram_inner_product(one.b, query), query <-> one.b, one.b <+> query)::distances);
        RETURN NEXT result;
        IF one.kind = 'long' THEN
            CONTINUE;
        END IF;

        -- the variable stays the same array, and its content changes
        FOR i IN 1 .. 3 LOOP
            copy[i] := one.a[i];
        END LOOP;
        result := ROW('PL/pgSQL elements', one.q, one.c,
            ROW(copy <=> one.b, engram_cosine(one.b, copy), copy <#> one.b, engram_inner_product(one.b, copy), copy <-> one.b, one.b <+> copy)::distances);
        RETURN NEXT result;
        FOR i IN 1 .. 4 LOOP
            copy[1] := CASE WHEN i % 2 = 0 THEN one.a[1] ELSE i END;
            IF i % 2 = 0 THEN
                result := ROW('PL/pgSQL there and back', one.q, one.c,
                    ROW(copy <=> one.b, engram_cosine(one.b, copy), copy <#> one.b, engram_inner_product(one.b, copy), copy <-> one.b, one.b <+> copy)::distances);
                RETURN NEXT result;
            ELSIF copy <=> one.b IS NULL THEN
                RAISE EXCEPTION 'no distance';
            END IF;
        END LOOP;
    END LOOP;
END $$;
INSERT INTO found SELECT * FROM loops();

-- A loop over queries around a statement over candidates.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM query ORDER BY id % 3, id LOOP
        INSERT INTO found
        SELECT 'PL/pgSQL statement', one.id, c.id,
               ROW(one.v <=> c.v, engram_cosine(c.v, one.v), one.v <#> c.v, engram_inner_product(c.v, one.v), c.v <-> one.v, one.v <+> c.v)::distances
        FROM candidate AS c WHERE c.kind = one.kind;
    END LOOP;
END $$;

-- Prepared statements, planned for any parameter and for each.
PREPARE ask (int, real[], text) AS
    INSERT INTO found
    SELECT 'EXECUTE, ' || current_setting('plan_cache_mode'), $1, id,
           ROW($2 <=> v, engram_cosine($2, v), v <#> $2, engram_inner_product(v, $2), $2 <-> v, v <+> $2)::distances
    FROM candidate WHERE kind = $3;
CREATE FUNCTION ask_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM query ORDER BY id LOOP
        EXECUTE format('EXECUTE ask(%s, %L, %L)', one.id, one.v, one.kind);
    END LOOP;
END $$;
SET plan_cache_mode = force_generic_plan;
SELECT ask_all();
SET plan_cache_mode = force_custom_plan;
SELECT ask_all();
RESET plan_cache_mode;

-- Rescans: the same expression is run again and again by a nested loop.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
INSERT INTO found
SELECT 'rescan', q.id, c.id, ROW(q.v <=> c.v, engram_cosine(q.v, c.v), q.v <#> c.v, engram_inner_product(c.v, q.v), c.v <-> q.v, c.v <+> q.v)::distances
FROM query AS q CROSS JOIN LATERAL (SELECT * FROM candidate AS c WHERE c.kind = q.kind AND c.v <=> q.v >= 0 AND q.v <-> c.v >= 0 OFFSET 0) AS c;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;

-- The same once more, compiled just in time where the server can.
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
INSERT INTO found
SELECT 'JIT', q.id, x.* FROM query AS q,
    LATERAL (SELECT c.id, ROW(q.v <=> c.v, engram_cosine(c.v, q.v), q.v <#> c.v, engram_inner_product(c.v, q.v), q.v <-> c.v, q.v <+> c.v)::distances
             FROM candidate AS c WHERE c.kind = q.kind OFFSET 0) AS x;
RESET jit_above_cost;
RESET jit_inline_above_cost;
RESET jit_optimize_above_cost;

SELECT path, count(*) AS pairs, count(*) FILTER (WHERE truth.q IS NULL) AS unknown,
       count(*) FILTER (WHERE record_image_ne(found.d, truth.d)) AS different
FROM found LEFT JOIN truth USING (q, c) GROUP BY path ORDER BY path COLLATE "C";

-- A call in the arguments of a call, of the same and of another function.
SELECT count(*) AS calls,
       count(*) FILTER (WHERE ARRAY[(t1.d).l2, (t2.d).l2]::real[] <-> '{1,2}' IS DISTINCT FROM nested) AS different
FROM (SELECT q1.id AS q1, q2.id AS q2, c.id AS c,
             ARRAY[q1.v <-> c.v, c.v <-> q2.v]::real[] <-> '{1,2}' AS nested
      FROM query AS q1 JOIN query AS q2 USING (kind) JOIN candidate AS c USING (kind) WHERE q1.id % 5 = 0 AND q2.id % 7 = 0) AS n
     JOIN truth AS t1 ON t1.q = n.q1 AND t1.c = n.c JOIN truth AS t2 ON t2.q = n.q2 AND t2.c = n.c;
CREATE TABLE unit AS SELECT id, kind, engram_normalize(v) AS v FROM query;
SELECT count(*) AS calls,
       count(*) FILTER (WHERE engram_normalize(q.v) <=> c.v IS DISTINCT FROM u.v <=> c.v
                        OR c.v <-> engram_normalize(q.v) IS DISTINCT FROM u.v <-> c.v) AS different
FROM query AS q JOIN unit AS u USING (id, kind) JOIN candidate AS c USING (kind);

-- Cursors that take turns, each with its own query.
BEGIN;
DECLARE one CURSOR FOR SELECT id, v <=> '{1,2,3}' AS d FROM candidate WHERE kind = 'short' ORDER BY id;
DECLARE other CURSOR FOR SELECT id, v <=> '{3,2,1}' AS d FROM candidate WHERE kind = 'short' ORDER BY id;
CREATE FUNCTION take_turns() RETURNS TABLE (rows int, different int) LANGUAGE plpgsql AS $$
DECLARE
    one refcursor := 'one';
    other refcursor := 'other';
    a record;
    b record;
BEGIN
    rows := 0;
    different := 0;
    LOOP
        FETCH one INTO a;
        FETCH other INTO b;
        EXIT WHEN NOT FOUND;
        rows := rows + 1;
        IF a.d <> (SELECT x.v <=> y.v FROM candidate AS x, (VALUES ('{1,2,3}'::real[])) AS y(v) WHERE id = a.id) OR
           b.d <> (SELECT x.v <=> y.v FROM candidate AS x, (VALUES ('{3,2,1}'::real[])) AS y(v) WHERE id = b.id) OR
           a.d = b.d THEN
            different := different + 1;
        END IF;
    END LOOP;
    RETURN NEXT;
END $$;
SELECT * FROM take_turns();
COMMIT;

-- A bad query between good ones neither hides nor stays.
CREATE FUNCTION good_bad_good() RETURNS TABLE (call int, outcome text) LANGUAGE plpgsql AS $$
DECLARE
    queries text[] := ARRAY['{3,4}', '{3,4}', '{3,NaN}', '{3,4}', '{3,NaN}', '{3,NaN}', '{0,1}', '{1,2,3}', '{1,2,3}', '{0,1}', '{0,1}',
                            '{}', '{0,1}', '{0,NULL}', '{0,NULL}', '{Infinity,0}', '{0,2}'];
    q real[];
BEGIN
    FOR i IN 1 .. cardinality(queries) LOOP
        call := i;
        q := queries[i];
        BEGIN
            outcome := queries[i] || ' ' || (q <-> '{0,0}');
        EXCEPTION WHEN OTHERS THEN
            outcome := queries[i] || ' ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM good_bad_good();

-- The same number of bytes, and all but one of them the same.
CREATE FUNCTION near_twins() RETURNS TABLE (right_answers int) LANGUAGE plpgsql AS $$
DECLARE
    a real[] := array_fill(1::real, ARRAY[100]);
    zero real[] := array_fill(0::real, ARRAY[100]);
    q text;
BEGIN
    right_answers := 0;
    FOR i IN 1 .. 100 LOOP
        a := array_fill(1::real, ARRAY[100]);
        a[i] := 2;
        q := a::text;
        FOR again IN 1 .. 3 LOOP
            zero := array_fill(0::real, ARRAY[100]);
            zero[i] := 1;
            IF engram_inner_product(q::real[], zero) = 2 AND engram_inner_product(zero, q::real[]) = 2 THEN
                right_answers := right_answers + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN NEXT;
END $$;
SELECT * FROM near_twins();

-- A changed row is another value, also out of line and under the same key.
CREATE TABLE moving (v real[]);
ALTER TABLE moving ALTER COLUMN v SET STORAGE EXTERNAL;
INSERT INTO moving VALUES (make_vector(1, 700));
CREATE FUNCTION follow(times int) RETURNS TABLE (right_answers int) LANGUAGE plpgsql AS $$
DECLARE
    fixed real[] := make_vector(500, 700);
    seen float8;
BEGIN
    right_answers := 0;
    FOR i IN 1 .. times LOOP
        UPDATE moving SET v = make_vector(i / 2, 700);
        seen := (SELECT v FROM moving) <+> fixed;
        IF seen = (SELECT sum(abs(a - b))
                   FROM unnest(make_vector(i / 2, 700)::numeric[], fixed::numeric[]) AS e(a, b)) THEN
            right_answers := right_answers + 1;
        END IF;
    END LOOP;
    RETURN NEXT;
END $$;
SELECT * FROM follow(50);

SET client_min_messages = warning;
DROP SCHEMA prepared CASCADE;
