-- One answer: every operation gives the same bits at every level that this
-- machine supports as with engramk.simd = off, and by every path: operator on
-- two columns, on a constant, on a parameter, batch and top-k.  Only counts
-- are printed: 0 differences.
CREATE SCHEMA differential;
SET search_path = differential, public;

-- Vectors that are friendly and vectors that are not.
SELECT setseed(0.25) IS NOT NULL AS seeded;
CREATE FUNCTION element(kind text, i int) RETURNS real
LANGUAGE sql VOLATILE AS $$
    SELECT CASE kind
        WHEN 'random' THEN random() - 0.5
        WHEN 'zero' THEN 0
        WHEN 'last only' THEN 0
        WHEN 'denormal' THEN (floor(random() * 8000000) - 4000000) * 1.401298464324817e-45
        WHEN 'largest' THEN sign(random() - 0.5) * 3.4028234e38
        WHEN 'minus zero' THEN (ARRAY['-0', '0', '1.5', '-1.5'])[1 + (random() * 4)::int % 4]::float8
        WHEN 'huge ratios' THEN (random() - 0.5) * 2::float8 ^ floor((random() - 0.5) * 252)
        WHEN 'cancelling' THEN CASE i % 2 WHEN 0 THEN 1 ELSE -1 END * (16777216 + i % 3)
        WHEN 'thirds' THEN (i % 7 - 3) / 3.0
    END::real
$$;
CREATE TABLE vector AS
SELECT row_number() OVER (ORDER BY dims, kind COLLATE "C")::int AS id, dims, kind,
       (SELECT array_agg(CASE WHEN kind = 'last only' AND i = dims THEN 0.7 ELSE element(kind, i) END ORDER BY i)
        FROM generate_series(1, dims) AS i) AS v
FROM unnest(ARRAY['random', 'zero', 'last only', 'denormal', 'largest', 'minus zero', 'huge ratios', 'cancelling', 'thirds']) AS kind,
     unnest(array(SELECT generate_series(1, 70)) || ARRAY[127, 128, 129, 255, 257, 768, 1000, 1023, 1024, 1025, 4095, 4096, 4097, 4100]) AS dims;
SELECT count(*) AS vectors, count(DISTINCT dims) AS lengths, bool_and(engram_is_valid(v)) AS valid FROM vector;

-- All results of one pair, as bytes, so that -0 is not 0.
CREATE FUNCTION bits(VARIADIC results float8[]) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(float8send(r), '' ORDER BY i) FROM unnest(results) WITH ORDINALITY AS e(r, i)
$$;

-- Two columns: nothing is prepared.
CREATE VIEW by_columns AS
SELECT a.id AS a, b.id AS b,
       bits(engram_cosine(a.v, b.v), engram_inner_product(a.v, b.v),
            a.v <=> b.v, a.v <#> b.v, a.v <-> b.v, a.v <+> b.v) AS result
FROM vector AS a JOIN vector AS b USING (dims);

SET engramk.simd = off;
CREATE TABLE truth AS SELECT * FROM by_columns;
CREATE TABLE truth_of_one AS
SELECT id, float8send(engram_norm(v)) || array_send(engram_normalize(v)) AS result FROM vector;
ALTER TABLE truth ADD PRIMARY KEY (a, b);
ANALYZE vector, truth;

-- A finding is a number of results, and how many of them differ from truth.
CREATE TYPE finding AS (compared bigint, different bigint);

CREATE FUNCTION compare_columns() RETURNS finding LANGUAGE sql VOLATILE AS $$
    SELECT count(*), count(*) FILTER (WHERE c.result IS DISTINCT FROM t.result)
    FROM truth AS t LEFT JOIN by_columns AS c USING (a, b)
$$;

CREATE FUNCTION compare_one() RETURNS finding LANGUAGE sql VOLATILE AS $$
    SELECT count(*), count(*) FILTER (WHERE float8send(engram_norm(v)) || array_send(engram_normalize(v))
                                      IS DISTINCT FROM result)
    FROM truth_of_one JOIN vector USING (id)
$$;

-- OFFSET 0 keeps the sub-select apart, so that q.v is a parameter there.
CREATE FUNCTION compare_parameter() RETURNS finding LANGUAGE sql VOLATILE AS $$
    SELECT count(*), count(*) FILTER (WHERE p.left_result IS DISTINCT FROM t.result
                                      OR p.right_result IS DISTINCT FROM t.result)
    FROM vector AS q,
         LATERAL (SELECT c.id,
                         bits(engram_cosine(q.v, c.v), engram_inner_product(q.v, c.v),
                              q.v <=> c.v, q.v <#> c.v, q.v <-> c.v, q.v <+> c.v) AS left_result,
                         bits(engram_cosine(c.v, q.v), engram_inner_product(c.v, q.v),
                              c.v <=> q.v, c.v <#> q.v, c.v <-> q.v, c.v <+> q.v) AS right_result
                  FROM vector AS c WHERE c.dims = q.dims OFFSET 0) AS p
         JOIN truth AS t ON t.b = p.id
    WHERE t.a = q.id
$$;

CREATE FUNCTION compare_constant() RETURNS finding LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    query record;
    one finding;
    total finding := (0, 0);
BEGIN
    FOR query IN SELECT * FROM vector LOOP
        EXECUTE format($query$
            SELECT count(*), count(*) FILTER (
                WHERE bits(engram_cosine(%1$L, v), engram_inner_product(%1$L, v),
                           %1$L <=> v, %1$L <#> v, %1$L <-> v, %1$L <+> v) IS DISTINCT FROM result
                OR bits(engram_cosine(v, %1$L), engram_inner_product(v, %1$L),
                        v <=> %1$L, v <#> %1$L, v <-> %1$L, v <+> %1$L) IS DISTINCT FROM result)
            FROM vector JOIN truth ON b = id
            WHERE a = %2$s AND dims = %3$s
            $query$, query.v, query.id, query.dims) INTO one;
        total := (total.compared + one.compared, total.different + one.different);
    END LOOP;
    RETURN total;
END $$;

-- Batch and top-k give the cosine, the first of the results in truth.  The
-- candidates of a query are all vectors of its length.
CREATE FUNCTION compare_batch() RETURNS finding LANGUAGE sql VOLATILE AS $$
    WITH candidates AS MATERIALIZED (
        SELECT dims, array_agg(id ORDER BY id) AS ids, array_agg(v ORDER BY id) AS vs FROM vector GROUP BY dims),
    batches AS (
        SELECT id AS query, ids, engram_cosine_batch(v, vs) AS by_rows,
               engram_cosine_batch(v, array(SELECT unnest(vs))) AS flat
        FROM vector JOIN candidates USING (dims))
    SELECT count(*), count(*) FILTER (WHERE float8send(r) IS DISTINCT FROM substr(result, 1, 8)
                                      OR float8send(f) IS DISTINCT FROM substr(result, 1, 8))
    FROM batches, unnest(ids, by_rows, flat) AS e(candidate, r, f), truth
    WHERE a = query AND b = candidate
$$;

CREATE FUNCTION compare_topk() RETURNS finding LANGUAGE sql VOLATILE AS $$
    WITH candidates AS MATERIALIZED (
        SELECT dims, array_agg(id ORDER BY id) AS ids, array_agg(v ORDER BY id) AS vs FROM vector GROUP BY dims)
    SELECT count(*), count(*) FILTER (WHERE float8send(similarity) IS DISTINCT FROM substr(result, 1, 8))
    FROM vector JOIN candidates USING (dims), engram_topk(v, vs, 1000), truth
    WHERE a = id AND b = ids[ordinal]
$$;

-- Every setting that this machine can be pinned to, "on" and "off".
CREATE TABLE findings (setting text, path text, compared bigint, different bigint);
DO $$
DECLARE
    setting text;
BEGIN
    FOR setting IN
        SELECT level FROM engram_simd_info() WHERE compiled AND supported AND level <> 'scalar'
        UNION ALL SELECT unnest(ARRAY['on', 'off'])
    LOOP
        PERFORM set_config('engramk.simd', setting, false);
        IF setting NOT IN ('on', 'off') AND
           NOT (SELECT active FROM engram_simd_info() WHERE level = setting) THEN
            RAISE EXCEPTION 'pinned level is not active';
        END IF;
        INSERT INTO findings SELECT setting, 'columns', (compare_columns()).*;
        INSERT INTO findings SELECT setting, 'one vector', (compare_one()).*;
        INSERT INTO findings SELECT setting, 'parameter', (compare_parameter()).*;
        INSERT INTO findings SELECT setting, 'constant', (compare_constant()).*;
        INSERT INTO findings SELECT setting, 'batch', (compare_batch()).*;
        INSERT INTO findings SELECT setting, 'top-k', (compare_topk()).*;
    END LOOP;
END $$;
RESET engramk.simd;

SELECT path, compared, different FROM findings WHERE setting = 'on' ORDER BY path;
SELECT path, count(*) >= 2 AS on_and_off, count(DISTINCT compared) = 1 AS same_number, sum(different) AS different
FROM findings GROUP BY path ORDER BY path;

-- The comparison is not blind: another vector's results differ.
SELECT count(DISTINCT result) > 3000 AS telling FROM truth;

SET client_min_messages = warning;
DROP SCHEMA differential CASCADE;
