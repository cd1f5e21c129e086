-- Ten thousand random and hostile queries for each metric, of the type that
-- test.vector_type says: the distances of the index are those of a sort.  Stops with an
-- error if one is not.
--
--	test/with-cluster.sh -o test.vector_type=halfvec psql -X -q -v ON_ERROR_STOP=1 -f test/long/types.sql
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION engramk;
\i test/index/vector_type.sql
\i test/index/hostile.sql

CREATE FUNCTION by_sort(statement text, q vec) RETURNS float8[] LANGUAGE plpgsql SET enable_indexscan = off AS $$
DECLARE
    distances float8[];
BEGIN
    EXECUTE statement INTO distances USING q;
    RETURN distances;
END $$;
CREATE FUNCTION by_index(statement text, q vec) RETURNS float8[] LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    distances float8[];
BEGIN
    EXECUTE statement INTO distances USING q;
    RETURN distances;
END $$;

-- Another vector of the kind, one of the table, or one that is about in its direction
CREATE FUNCTION query_for(source text, i integer) RETURNS vec LANGUAGE plpgsql AS $$
DECLARE
    v real[];
BEGIN
    IF i % 3 = 0 THEN
        RETURN as_vec(vector_of(source, 1000 + i));
    END IF;
    EXECUTE format('SELECT v::real[] FROM %I WHERE id = $1', source) INTO v USING 1 + i % 600;
    RETURN as_vec(CASE i % 3 WHEN 1 THEN v
        ELSE ARRAY(SELECT (e * (0.5 + random() / 2))::real FROM unnest(v) WITH ORDINALITY AS u(e, n) ORDER BY n) END);
END $$;

CREATE TABLE compared (operator text, queries bigint);
DO $$
DECLARE
    kind text;
    m metric;
    q vec;
    statement text;
BEGIN
    FOREACH kind IN ARRAY kinds() LOOP
        EXECUTE format('CREATE TABLE %I AS SELECT i AS id, as_vec(vector_of(%1$L, i)) AS v FROM generate_series(1, 600) AS i', kind);
        EXECUTE format('CREATE INDEX ON %I USING engramk (v)', kind);
        FOR m IN SELECT * FROM metric LOOP
            FOR i IN 1 .. 640 LOOP
                q := query_for(kind, i);
                statement := format('SELECT array_agg(d) FROM (SELECT v %1$s $1 AS d FROM %2$I ORDER BY v %1$s $1 LIMIT %3$s) AS x',
                    m.operator, kind, ('{1,3,10,100,600}'::integer[])[1 + i % 5]);
                IF by_index(statement, q) IS DISTINCT FROM by_sort(statement, q) THEN
                    RAISE '% of % differs in %', m.operator, q, kind;
                END IF;
            END LOOP;
            INSERT INTO compared VALUES (m.operator, 640);
        END LOOP;
    END LOOP;
END $$;
SELECT operator, sum(queries) AS "queries, none of which differs" FROM compared GROUP BY 1 ORDER BY 1;
