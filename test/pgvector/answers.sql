-- Compares indexes with a sequential scan, in one statement, so that both see the same
-- rows whatever others do: pgvector's operators can use the index, the functions that
-- they stand for cannot.

-- Sums of waves; some NULL, some zero, some equal
CREATE FUNCTION sample(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i % 97 = 0 THEN NULL WHEN i % 89 = 0 THEN array_fill(0::real, '{24}')::vector
        ELSE (SELECT array_agg((sin(n) * sin(j) + sin(2 * n) * sin(2 * j) + cos(n) * sin(3 * j)
                + 0.01 * sin(n * j))::real ORDER BY j)
            FROM (VALUES (i % 5000)) AS m(n), generate_series(1, 24) AS j)::vector END
$$;

CREATE TABLE item (id serial PRIMARY KEY, v vector(24), h halfvec(24), note int)
    WITH (autovacuum_enabled = off, fillfactor = 70);
CREATE INDEX ON item USING engramk (v vector_cosine_ops);
CREATE INDEX ON item USING engramk (v vector_l2_ops);
CREATE INDEX ON item USING engramk (h halfvec_ip_ops);
CREATE INDEX ON item USING engramk (h halfvec_l2_ops);

CREATE FUNCTION add_samples(first int, how_many int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO item (v, h) SELECT sample(i), sample(i) FROM generate_series(first, first + how_many - 1) AS i
$$;

-- Nothing, or what is wrong with the answers to one query
CREATE FUNCTION findings(query int, wanted int) RETURNS SETOF text LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    metric record;
    equal boolean;
BEGIN
    FOR metric IN SELECT * FROM (VALUES
        ('v', 'vector', '<=>', 'cosine_distance'), ('v', 'vector', '<->', 'l2_distance'),
        ('h', 'halfvec', '<#>', 'halfvec_negative_inner_product'), ('h', 'halfvec', '<->', 'l2_distance'))
        AS m(attribute, type, operator, function)
    LOOP
        EXECUTE format('
            WITH i AS MATERIALIZED (SELECT %1$s %3$s $1::%2$s AS d FROM item ORDER BY %1$s %3$s $1::%2$s LIMIT $2),
            s AS MATERIALIZED (SELECT %4$s(%1$s, $1::%2$s) AS d FROM item ORDER BY d LIMIT $2)
        SELECT (SELECT array_agg(d) FROM i) IS NOT DISTINCT FROM (SELECT array_agg(d) FROM s)',
            metric.attribute, metric.type, metric.operator, metric.function) INTO equal USING sample(query), wanted;
        IF NOT equal THEN
            RETURN NEXT format('%s of %s: query %s, %s rows', metric.operator, metric.type, query, wanted);
        END IF;
    END LOOP;
END $$;

-- For pgbench: an error if there is one
CREATE FUNCTION must_be_equal(query int, wanted int) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    found text := (SELECT string_agg(f, '; ') FROM findings(query, wanted) AS f);
BEGIN
    IF found IS NOT NULL THEN
        RAISE 'not equal: %', found;
    END IF;
END $$;
