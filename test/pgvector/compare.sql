-- Each test includes this file in a schema of its own.  A distance is an expression
-- of a table's row; its rows are ordered by it once with the index and once with a sort.

-- What a setting forbids costs so much that it would be compiled.
SET jit = off;

CREATE FUNCTION by_sort(query text) RETURNS float8[] LANGUAGE plpgsql
SET enable_indexscan = off SET enable_bitmapscan = off AS $$
DECLARE
    distances float8[];
BEGIN
    EXECUTE query INTO distances;
    RETURN distances;
END $$;

-- The names of the indexes are in order, since partitions have one each.
CREATE FUNCTION by_index(query text, OUT distances float8[], OUT index text) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line LIKE '%Index Scan using%' THEN
            index := concat_ws(' ', index, substring(line FROM 'Index Scan using (\S+)'));
        END IF;
    END LOOP;
    EXECUTE query INTO distances;
END $$;

-- An index of NULL says that the planner had none for it.
CREATE FUNCTION compare(source text, distance text, wanted int DEFAULT NULL, filter text DEFAULT 'true',
    OUT index text, OUT rows int, OUT equal boolean) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('
        SELECT array_agg(d) FROM (SELECT %1$s AS d FROM %2$s WHERE %3$s ORDER BY %1$s LIMIT %4$L) AS nearest',
        distance, source, filter, wanted);
    indexed record := by_index(query);
BEGIN
    index := indexed.index;
    rows := coalesce(cardinality(indexed.distances), 0);
    equal := indexed.distances IS NOT DISTINCT FROM by_sort(query);
END $$;

CREATE FUNCTION wave(i int, dims int) RETURNS vector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, dims) AS j
$$;
