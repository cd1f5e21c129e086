-- The exact index gives what a sequential scan gives: the same sequence of
-- distances, bit for bit, and the same rows below the k-th distance (which of
-- several rows at the k-th distance are shown is free, as in SQL).  For three
-- operators, k from 1 to all rows, friendly and hostile vectors, at every level
-- of this machine, and with a budget so small that a scan needs many passes.
-- Only what is independent of the machine is printed.
CREATE SCHEMA index_exact;
SET search_path = index_exact, public;
SET client_min_messages = warning;
SET jit = off;  -- it would compile each of thousands of statements
\set ECHO none
\i test/index/vector_type.sql
\i test/index/hostile.sql
\set ECHO all

-- The words of the demo
CREATE TABLE words (id serial PRIMARY KEY, word text, v vec);
\set words `zcat "${PG_ABS_SRCDIR:-test}/data/glove100-10k.tsv.gz"`
INSERT INTO words (word, v)
SELECT split_part(line, E'\t', 1), split_part(line, E'\t', 2)::real[]
FROM string_to_table(:'words', E'\n') WITH ORDINALITY AS l(line, n) ORDER BY n;
\unset words

SELECT setseed(0.5) IS NOT NULL AS seeded;
DO $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY kinds() LOOP
        EXECUTE format('CREATE TABLE %I AS SELECT i AS id, as_vec(vector_of(%1$L, i)) AS v FROM generate_series(1, 2000) AS i', kind);
    END LOOP;
END $$;
-- A few rows without a vector in some of them, in front and in between
UPDATE duplicates SET v = NULL WHERE id % 500 = 1;
INSERT INTO random SELECT -i, NULL FROM generate_series(1, 1000) AS i;
UPDATE sparse SET v = array_fill(0::real, ARRAY[300]) WHERE id % 100 = 0;

-- What to ask of a table: vectors of its own, the opposite, the sum of two, nothing.
CREATE FUNCTION queries_for(source regclass) RETURNS TABLE (n bigint, q vec)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH source AS MATERIALIZED (SELECT id, v::real[] AS v FROM %1$s)
        SELECT row_number() OVER (), q::vec FROM (
            (SELECT v FROM source WHERE v IS NOT NULL ORDER BY id LIMIT 1)
            UNION ALL (SELECT v FROM source WHERE id = 1234)
            UNION ALL SELECT ARRAY(SELECT -e FROM unnest(v) WITH ORDINALITY AS u(e, i) ORDER BY i) FROM source WHERE id = 77
            UNION ALL SELECT ARRAY(SELECT (a.v[i] / 2 + b.v[i] / 2)::real FROM generate_subscripts(a.v, 1) AS i ORDER BY i)
                FROM source AS a, source AS b WHERE a.id = 1945 AND b.id = 17
            UNION ALL SELECT array_fill(0::real, ARRAY[cardinality(v)]) FROM source WHERE id = 2
        ) AS x(q)$q$, source);
END $$;

-- The truth: every row, by a sequential scan and a sort.
CREATE TABLE truth (source regclass, n bigint, operator text, q vec, distances float8[], ids int[]);
CREATE FUNCTION find_truth(source regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    operator text;
BEGIN
    FOR operator IN SELECT m.operator FROM metric AS m LOOP
        EXECUTE format('INSERT INTO truth SELECT %1$L, n, %2$L, q, array_agg(d ORDER BY d), array_agg(id ORDER BY d)
            FROM queries_for(%1$L) AS x, LATERAL (SELECT id, v %2$s q AS d FROM %1$s OFFSET 0) AS y GROUP BY n, q', source, operator);
    END LOOP;
END $$;
SELECT count(find_truth(oid)) AS tables FROM pg_class
WHERE relnamespace = 'index_exact'::regnamespace AND relkind = 'r' AND relname NOT IN ('truth', 'metric');

DO $$
DECLARE
    source regclass;
BEGIN
    FOR source IN SELECT DISTINCT t.source FROM truth AS t LOOP
        EXECUTE format('CREATE INDEX ON %s USING engramk (v)', source);
    END LOOP;
END $$;

-- Does this answer, k rows of (distance, id), equal the truth?
CREATE FUNCTION is_right(t truth, k int, distances float8[], ids int[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT distances = t.distances[:k]
        AND ARRAY(SELECT i FROM unnest(distances, ids) AS u(d, i) WHERE d < distances[least(k, cardinality(ids))] ORDER BY i)
          = ARRAY(SELECT i FROM unnest(t.distances[:k], t.ids[:k]) AS u(d, i) WHERE d < t.distances[least(k, cardinality(ids))] ORDER BY i)
        AND (k < cardinality(t.ids) OR (SELECT array_agg(i ORDER BY i) FROM unnest(ids) AS i) = (SELECT array_agg(i ORDER BY i) FROM unnest(t.ids) AS i))
$$;

-- Asks the index; a finding is a number of answers and how many are not right.
CREATE TYPE finding AS (asked bigint, planned bigint, wrong bigint);
CREATE FUNCTION ask(source regclass, ks int[]) RETURNS finding
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
    result finding := (0, 0, 0);
    t truth;
    k int;
    statement text;
    line text;
    distances float8[];
    ids int[];
BEGIN
    FOR t IN SELECT * FROM truth AS x WHERE x.source = $1 LOOP
        statement := format('SELECT v %2$s $1 AS d, id FROM %1$s ORDER BY v %2$s $1 LIMIT $2', source, t.operator);
        FOREACH k IN ARRAY ks LOOP
            result.asked := result.asked + 1;
            FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement USING t.q, k LOOP
                result.planned := result.planned + (line LIKE '%Index Scan using%')::int;
            END LOOP;
            -- in the order of the rows as they come, which array_agg keeps
            EXECUTE format('SELECT array_agg(d), array_agg(id) FROM (%s) AS answer', statement)
                INTO distances, ids USING t.q, k;
            IF is_right(t, k, distances, ids) IS NOT TRUE THEN
                result.wrong := result.wrong + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN result;
END $$;

CREATE FUNCTION ask_all(ks int[]) RETURNS TABLE (source regclass, asked bigint, planned bigint, wrong bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT s.source, f.* FROM (SELECT DISTINCT source FROM truth) AS s, ask(s.source, ks) AS f
    ORDER BY s.source::text COLLATE "C"
$$;

-- Every k, on the best level
SELECT * FROM ask_all(ARRAY[1, 2, 10, 100000]);

-- The smallest budget, less than 2,000 candidates: the whole table, in several passes
SET engramk.arena_size = '64kB';
SELECT * FROM ask_all(ARRAY[1, 100000]);
RESET engramk.arena_size;

-- Every level of this machine, and off
CREATE FUNCTION at_every_level(ks int[]) RETURNS finding LANGUAGE plpgsql AS $$
DECLARE
    level text;
    sum finding := (0, 0, 0);
    f finding;
BEGIN
    FOR level IN SELECT i.level FROM engram_simd_info() AS i WHERE i.supported AND i.level <> 'scalar' UNION ALL SELECT 'off' LOOP
        PERFORM set_config('engramk.simd', level, true);
        SELECT sum(a.asked), sum(a.planned), sum(a.wrong) INTO f FROM ask_all(ks) AS a;
        sum := (sum.asked + f.asked, sum.planned + f.planned, sum.wrong + f.wrong);
    END LOOP;
    RETURN sum;
END $$;
SELECT asked > 0 AS asked, planned = asked AS planned, wrong FROM at_every_level(ARRAY[1, 30]);

-- Built at one level, asked at another
BEGIN;
SET LOCAL engramk.simd = off;
REINDEX TABLE words;
REINDEX TABLE clustered;
COMMIT;
SELECT * FROM ask('words', ARRAY[1, 10, 1000]);
SELECT * FROM ask('clustered', ARRAY[1, 10, 1000]);

-- With a basis and without
SELECT bool_or(f.basis > 0) AS some_have_one, bool_or(f.basis = 0) AS some_have_none
FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk', engram_index_info(c.oid) AS f
WHERE c.relnamespace = 'index_exact'::regnamespace;

-- Every certificate is true.
SELECT c.relname, engram_index_check(c.oid) AS checked, f.dimensions, f.vectors, f.dead
FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk', engram_index_info(c.oid) AS f
WHERE c.relnamespace = 'index_exact'::regnamespace ORDER BY c.relname COLLATE "C";

-- Rows that were inserted, not built, are as good: the same tables, in another
-- order, into indexes that were empty, then into indexes built from half of them.
DO $$
DECLARE
    source regclass;
BEGIN
    FOR source IN SELECT DISTINCT t.source FROM truth AS t LOOP
        EXECUTE format('CREATE TEMPORARY TABLE copied AS SELECT * FROM %s', source);
        EXECUTE format('TRUNCATE %s', source);
        EXECUTE format('INSERT INTO %s SELECT * FROM copied ORDER BY id %% 7, id DESC', source);
        DROP TABLE copied;
    END LOOP;
END $$;
SELECT sum(asked) AS asked, sum(planned) AS planned, sum(wrong) AS wrong FROM ask_all(ARRAY[1, 10, 500]);
DO $$
DECLARE
    source regclass;
BEGIN
    FOR source IN SELECT DISTINCT t.source FROM truth AS t LOOP
        EXECUTE format('CREATE TEMPORARY TABLE copied AS SELECT * FROM %s WHERE id %% 2 = 1', source);
        EXECUTE format('DELETE FROM %s WHERE id %% 2 = 1', source);
        EXECUTE format('REINDEX TABLE %s', source);
        EXECUTE format('INSERT INTO %s SELECT * FROM copied ORDER BY id', source);
        DROP TABLE copied;
    END LOOP;
END $$;
SELECT sum(asked) AS asked, sum(planned) AS planned, sum(wrong) AS wrong FROM ask_all(ARRAY[1, 10, 500]);

-- Entries that vacuum freed are used again, for rows of which nothing was known.
DO $$
DECLARE
    source regclass;
BEGIN
    FOR source IN SELECT DISTINCT t.source FROM truth AS t LOOP
        EXECUTE format('CREATE TABLE %I AS SELECT * FROM %s WHERE id %% 3 = 1', 'kept ' || source, source);
        EXECUTE format('DELETE FROM %s WHERE id %% 3 = 1', source);
    END LOOP;
END $$;
VACUUM;
DO $$
DECLARE
    source regclass;
BEGIN
    FOR source IN SELECT DISTINCT t.source FROM truth AS t LOOP
        EXECUTE format('INSERT INTO %s SELECT * FROM %I', source, 'kept ' || source);
    END LOOP;
END $$;
SELECT sum(asked) AS asked, sum(planned) AS planned, sum(wrong) AS wrong FROM ask_all(ARRAY[10, 500]);
SELECT sum(engram_index_check(c.oid)) AS checked, sum(f.dead) > 0 AS some_are_free
FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'engramk', engram_index_info(c.oid) AS f
WHERE c.relnamespace = 'index_exact'::regnamespace;

DROP SCHEMA index_exact CASCADE;
