-- What the cast of a parameter costs without an index: $1::real[] where the
-- parameter is double precision[], in the plan for it and in one for any parameter,
-- and as a sub-select.
--
--	test/with-cluster.sh -o jit=off psql -X -q -f bench/parameters.sql
\set QUIET on
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION engramk;
CREATE TABLE items (id integer, embedding real[]);
INSERT INTO items
    SELECT i, ARRAY(SELECT sin(i * 7919 + j)::real FROM generate_series(1, 768) AS j)
    FROM generate_series(1, 10000) AS i;
VACUUM ANALYZE items;

PREPARE of_real (real[]) AS SELECT id FROM items ORDER BY embedding <=> $1::real[] LIMIT 10;
PREPARE of_double (double precision[]) AS SELECT id FROM items ORDER BY embedding <=> $1::real[] LIMIT 10;
PREPARE sub_select (double precision[]) AS SELECT id FROM items ORDER BY embedding <=> (SELECT $1::real[]) LIMIT 10;

-- The least of five, in milliseconds.
CREATE FUNCTION pg_temp.measure(name text, mode text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    query real[] := (SELECT embedding FROM items WHERE id = 5);
    least numeric := 1e9;
    begun timestamptz;
BEGIN
    PERFORM set_config('plan_cache_mode', mode, true);
    FOR i IN 1 .. 5 LOOP
        begun := clock_timestamp();
        EXECUTE format('EXECUTE %I(%L)', name, query);
        least := least(least, 1000 * extract(epoch FROM clock_timestamp() - begun)::numeric);
    END LOOP;
    RETURN round(least, 1);
END $$;
SELECT name, pg_temp.measure(name, 'force_custom_plan') AS custom_plan, pg_temp.measure(name, 'force_generic_plan') AS generic_plan
FROM unnest('{of_real,of_double,sub_select}'::text[]) AS name;
