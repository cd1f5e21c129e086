-- The index against a sequential scan, which is in the same statement and by the
-- functions that the operators stand for: the same distances, and the same rows
-- below the last of them.  Tests that include this have the table query (name, q), and
-- vector_type.sql.
CREATE FUNCTION is_right(source regclass, operator text, function text, q vec, k int) RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    by_index float8[];
    ids int[];
    truth float8[];
    same_rows boolean;
BEGIN
    EXECUTE format('SELECT array_agg(d), array_agg(id) FROM (SELECT v %s $1 AS d, id FROM %s ORDER BY v %1$s $1 LIMIT $2) AS x', operator, source)
        INTO by_index, ids USING q, k;
    EXECUTE format('SELECT array_agg(d) FROM (SELECT %s(v, $1) AS d FROM %s ORDER BY 1 LIMIT $2) AS x', function, source)
        INTO truth USING q, k;
    EXECUTE format('SELECT count(*) = 0 FROM %s WHERE %s(v, $1) < $2 AND id <> ALL ($3)', source, function)
        INTO same_rows USING q, by_index[cardinality(by_index)], ids;
    RETURN by_index = truth AND same_rows;
END $$;
CREATE FUNCTION wrong(source regclass, ks int[]) RETURNS TABLE (asked bigint, wrong text[]) LANGUAGE sql AS $$
    SELECT count(*), array_agg(name || ' ' || operator || ' ' || k) FILTER (WHERE is_right(source, operator, distance, q, k) IS NOT TRUE)
    FROM query, unnest(ks) AS k, metric AS m
$$;
