-- Compares an index with a sequential scan.  Both are in one statement, so that
-- they see the same rows whatever others do: the operators can use the index,
-- the functions that they stand for cannot.

-- Vectors of 96 dimensions, sums of eight waves and a little more, so that a
-- basis is worth it: some equal, some zero, some NULL
CREATE FUNCTION sample_vector(i integer) RETURNS vec LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i % 97 = 0 THEN NULL WHEN i % 89 = 0 THEN array_fill(0::real, ARRAY[96])
        ELSE ARRAY(SELECT (sin(n) * sin(j) + sin(2 * n) * sin(2 * j) + sin(3 * n) * sin(3 * j) + sin(5 * n) * sin(4 * j)
                + cos(n) * sin(5 * j) + cos(2 * n) * sin(6 * j) + cos(3 * n) * sin(7 * j) + cos(5 * n) * sin(8 * j)
                + 0.01 * sin(n * j))::real
            FROM (VALUES (i % 50000)) AS m(n), generate_series(1, 96) AS j) END::vec
$$;

-- Finds nothing, or says what is wrong with the answer for one query.
CREATE FUNCTION compare(source regclass, query integer, k integer, filter text DEFAULT 'true') RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    q vec := sample_vector(query);
    m metric;
    same_distances boolean;
    same_rows boolean;
    n bigint;
BEGIN
    FOR m IN SELECT * FROM metric
    LOOP
        EXECUTE format('
            WITH i AS MATERIALIZED (SELECT id, v %2$s $1 AS d FROM %1$s WHERE %4$s ORDER BY v %2$s $1 LIMIT $2),
                s AS MATERIALIZED (SELECT id, %3$s(v, $1) AS d FROM %1$s WHERE %4$s ORDER BY %3$s(v, $1) LIMIT $2),
                kth AS (SELECT max(d) FILTER (WHERE NOT EXISTS (SELECT FROM s WHERE d IS NULL)) AS d FROM s)
            SELECT (SELECT array_agg(d) FROM i) IS NOT DISTINCT FROM (SELECT array_agg(d) FROM s),
                (SELECT array_agg(i.id ORDER BY i.id) FROM i, kth WHERE i.d < kth.d OR kth.d IS NULL AND i.d IS NOT NULL) IS NOT DISTINCT FROM
                (SELECT array_agg(s.id ORDER BY s.id) FROM s, kth WHERE s.d < kth.d OR kth.d IS NULL AND s.d IS NOT NULL),
                (SELECT count(*) FROM i)', source, m.operator, m.distance, filter)
            INTO same_distances, same_rows, n USING q, k;
        IF NOT same_distances OR NOT same_rows THEN
            RETURN NEXT format('%s, query %s, k = %s where %s: %s rows, distances %s, rows %s', m.operator, query, k, filter, n,
                CASE WHEN same_distances THEN 'equal' ELSE 'differ' END, CASE WHEN same_rows THEN 'equal' ELSE 'differ' END);
        END IF;
    END LOOP;
END $$;

-- For pgbench: an error if there is a finding.
CREATE FUNCTION must_be_equal(source regclass, query integer, k integer) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    finding text;
BEGIN
    SELECT string_agg(f, '; ') INTO finding FROM compare(source, query, k) AS f;
    IF finding IS NOT NULL THEN
        RAISE 'not equal: %', finding;
    END IF;
END $$;
