-- Vectors of several kinds, for tests in which the kind changes and VACUUM finds another
-- basis; and comparing an index with a sequential scan, in one statement, so that
-- both see the same rows.

-- Coordinates of the first directions of a kind: sums of waves.
CREATE FUNCTION wave(kind integer, direction integer, j integer) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT sin(kind * 3.7 + direction * 1.9 + j * (0.31 * direction + 0.17 * kind + 0.23)) $$;

-- 64 dimensions; others are the beginnings of these.  Kinds:
-- 0 to 2	three directions and a little more, each kind others
-- 3		none that tells more than others
-- 4		five heaps
-- 5		three vectors, many times
-- 6		one coordinate each
-- 7		as 0, of very different lengths
CREATE TABLE stock (kind integer, i integer, v real[]);
SELECT setseed(0.5);
INSERT INTO stock
SELECT kind, i, array_agg((x.a * w.a + x.b * w.b + x.c * w.c + 0.04 * (random() - 0.5))::real ORDER BY j)
FROM (SELECT i, random() - 0.5 AS a, random() - 0.5 AS b, random() - 0.5 AS c FROM generate_series(1, 2500) AS i) AS x,
    (SELECT kind, j, wave(kind, 1, j) AS a, wave(kind, 2, j) AS b, wave(kind, 3, j) AS c
     FROM generate_series(0, 2) AS kind, generate_series(1, 64) AS j) AS w
GROUP BY kind, i;
INSERT INTO stock
SELECT 3, i, array_agg((random() - 0.5)::real) FROM generate_series(1, 1500) AS i, generate_series(1, 64) AS j GROUP BY i;
INSERT INTO stock
SELECT 4, i, array_agg((wave(4, 1 + i % 5, j) + 0.01 * (random() - 0.5))::real ORDER BY j)
FROM generate_series(1, 1500) AS i, generate_series(1, 64) AS j GROUP BY i;
INSERT INTO stock SELECT 5, i, ARRAY(SELECT wave(5, 1 + i % 3, j)::real FROM generate_series(1, 64) AS j) FROM generate_series(1, 1500) AS i;
INSERT INTO stock
SELECT 6, i, ARRAY(SELECT CASE WHEN j % 8 = i % 8 THEN 1 + i % 7 ELSE 0 END::real FROM generate_series(1, 64) AS j) FROM generate_series(1, 1500) AS i;
INSERT INTO stock
SELECT 7, i, ARRAY(SELECT (x * 10.0 ^ (i % (2 * magnitudes + 1) - magnitudes))::real FROM unnest(v) WITH ORDINALITY AS u(x, j) ORDER BY j)
FROM stock, (SELECT CASE current_setting('test.vector_type', true) WHEN 'halfvec' THEN 4 ELSE 15 END AS magnitudes) AS m
WHERE kind = 0 AND i <= 1500;
CREATE INDEX ON stock (kind, i);
ANALYZE stock;

-- So many of a kind, with some NULLs and zero vectors among them.
CREATE FUNCTION vectors_of(kind integer, dims integer, many integer) RETURNS SETOF vec LANGUAGE plpgsql AS $$
DECLARE
    begin_at integer := floor(random() * 1500);
BEGIN
    RETURN QUERY SELECT CASE WHEN random() < 0.03 THEN NULL WHEN random() < 0.02 THEN array_fill(0::real, ARRAY[dims]) ELSE s.v[1:dims] END::vec
    FROM generate_series(1, many) AS n JOIN stock AS s ON s.kind = vectors_of.kind AND s.i = (begin_at + n) % 1500 + 1;
END $$;

-- Finds nothing, or says what is wrong with the answer for one query, of the rows that pass a
-- filter.  The operators can use the index, the functions that they stand for cannot.
CREATE FUNCTION differs(source regclass, q vec, k bigint, filter text DEFAULT 'true') RETURNS SETOF text LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
    m metric;
    found_d float8[];
    found_id integer[];
    truth_d float8[];
    truth_id integer[];
BEGIN
    FOR m IN SELECT * FROM metric
    LOOP
        EXECUTE format('SELECT f.d, f.id, t.d, t.id
            FROM (SELECT array_agg(d) AS d, array_agg(id) AS id FROM (SELECT id, v %2$s $1 AS d FROM %1$s WHERE %4$s ORDER BY v %2$s $1 LIMIT $2) AS x) AS f,
                (SELECT array_agg(d ORDER BY d) AS d, array_agg(id ORDER BY d) AS id FROM (SELECT id, %3$s(v, $1) AS d FROM %1$s WHERE %4$s ORDER BY 2 LIMIT $2) AS x) AS t',
            source, m.operator, m.distance, filter) INTO found_d, found_id, truth_d, truth_id USING q, k;
        IF found_d IS DISTINCT FROM truth_d THEN
            RETURN NEXT format('%s of %s, %s rows where %s: distances differ, %s and %s of them', m.operator, q, k, filter, cardinality(found_d), cardinality(truth_d));
        ELSIF ARRAY(SELECT id FROM unnest(found_d, found_id) AS u(d, id) WHERE d < truth_d[cardinality(truth_d)] ORDER BY id) IS DISTINCT FROM
            ARRAY(SELECT id FROM unnest(truth_d, truth_id) AS u(d, id) WHERE d < truth_d[cardinality(truth_d)] ORDER BY id)
            OR (SELECT count(DISTINCT id) <> count(*) FROM unnest(found_id) AS id) THEN
            RETURN NEXT format('%s of %s, %s rows where %s: rows differ', m.operator, q, k, filter);
        END IF;
    END LOOP;
END $$;

-- The same of what is within a radius, which has one row in thirty, from 1.7 on.
CREATE FUNCTION differs_within(source regclass, q vec, filter text) RETURNS SETOF text LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    m metric;
    differ boolean;
BEGIN
    FOR m IN SELECT * FROM metric LOOP
        EXECUTE format('SELECT (SELECT array_agg(id ORDER BY id) FROM %1$s WHERE %2$s(v, $1, r) AND %4$s) IS DISTINCT FROM
            (SELECT array_agg(id ORDER BY id) FROM %1$s WHERE %3$s(v::real[], $1::real[]) <= r AND %4$s)
            FROM (SELECT percentile_disc(0.03) WITHIN GROUP (ORDER BY %3$s(v::real[], $1::real[])) AS r FROM %1$s) AS x', source, m.within, m.engram_distance, filter) INTO differ USING q;
        IF differ THEN
            RETURN NEXT format('%s of %s where %s', m.within, q, filter);
        END IF;
        EXECUTE format('SELECT (SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM %1$s WHERE v %2$s $1 <= r AND %4$s ORDER BY v %2$s $1) AS x) IS DISTINCT FROM
            (SELECT array_agg(id ORDER BY id) FROM %1$s WHERE %3$s(v, $1) <= r AND %4$s)
            FROM (SELECT percentile_disc(0.03) WITHIN GROUP (ORDER BY %3$s(v, $1)) AS r FROM %1$s) AS x', source, m.operator, m.distance, filter) INTO differ USING q;
        IF differ THEN
            RETURN NEXT format('%s <= r of %s where %s', m.operator, q, filter);
        END IF;
    END LOOP;
END $$;

-- Several queries of every kind, and a zero vector
CREATE FUNCTION some_queries(dims integer, queries integer) RETURNS SETOF vec LANGUAGE sql VOLATILE AS $$
    SELECT v[1:dims]::vec FROM stock WHERE i IN (SELECT 1 + floor(random() * 1500)::integer FROM generate_series(1, queries))
    AND kind IN (SELECT floor(random() * 8)::integer FROM generate_series(1, 2))
    UNION ALL SELECT array_fill(0::real, ARRAY[dims])::vec WHERE random() < 0.3
$$;

CREATE FUNCTION all_differences(source regclass, dims integer, queries integer, k bigint, filter text DEFAULT 'true') RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(d, '; ') FROM some_queries(dims, queries) AS q, differs(source, q, k, filter) AS d
$$;

CREATE FUNCTION all_differences_within(source regclass, dims integer, queries integer, filter text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(d, '; ') FROM some_queries(dims, queries) AS q, differs_within(source, q, filter) AS d
$$;

-- Rows of a table with filter columns: few tenants, some of them NULL; hardly two moments that
-- are equal; and ten names.
CREATE FUNCTION filtered_rows(kind integer, dims integer, many integer, OUT v vec, OUT tenant integer, OUT moment timestamptz, OUT name text)
RETURNS SETOF record LANGUAGE sql VOLATILE AS $$
    SELECT v, nullif(floor(random() * 20)::integer, 0), timestamptz '2024-01-01 00:00 UTC' + random() * interval '1 year', 'n' || floor(random() * 10)
    FROM vectors_of(kind, dims, many) AS v
$$;

CREATE FUNCTION must_not_differ(source regclass, dims integer, queries integer, k bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    findings text := all_differences(source, dims, queries, k);
BEGIN
    IF findings IS NOT NULL THEN
        RAISE 'not equal: %', findings;
    END IF;
END $$;

-- A cursor, and what its snapshot has: fetched bit by bit, and compared at the end.
CREATE FUNCTION take(c refcursor, many integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR n IN 1 .. many LOOP
        FETCH c INTO r;
        IF NOT FOUND THEN
            RETURN n - 1;
        END IF;
        INSERT INTO got VALUES (DEFAULT, r.id, r.d);
    END LOOP;
    RETURN many;
END $$;

CREATE FUNCTION has_all() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN (SELECT array_agg(d ORDER BY n) FROM got) IS DISTINCT FROM (SELECT array_agg(d ORDER BY d) FROM truth) THEN
            format('distances differ: %s of %s', (SELECT count(*) FROM got), (SELECT count(*) FROM truth))
        WHEN EXISTS (SELECT id, d FROM truth EXCEPT ALL SELECT id, d FROM got) THEN 'rows differ'
        ELSE 'right' END;
END $$;
