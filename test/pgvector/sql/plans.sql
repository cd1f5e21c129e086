-- The planner takes the index for a few rows of many, though pgvector's operators have the
-- cost of an addition, and though vectors that are out of line seem to take no pages.
CREATE SCHEMA plans;
SET search_path = plans, public;
\set ECHO none
\i compare.sql
\set ECHO all
SET max_parallel_workers_per_gather = 0;
CREATE TABLE item (id int, v vector(700), h halfvec(20));
INSERT INTO item SELECT i, wave(i, 700), wave(i, 20) FROM generate_series(1, 4000) AS i;
CREATE INDEX item_v ON item USING engramk (v vector_cosine_ops);
CREATE INDEX item_h ON item USING engramk (h halfvec_l2_ops);
ANALYZE item;
CREATE FUNCTION plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan #>> '{0,Plan,Plans,0,Node Type}';
END $$;
SELECT wanted, plan(format('SELECT id FROM item ORDER BY v <=> %L LIMIT %s', wave(1, 700), wanted)) AS out_of_line,
    plan(format('SELECT id FROM item ORDER BY h <-> %L LIMIT %s', wave(1, 20), wanted)) AS in_line
FROM unnest('{1,10,4000}'::int[]) AS wanted;
-- Half of all rows are within a right angle.
SELECT radius, plan(format('SELECT count(*) FROM item WHERE engram_cosine_within(v, %L, %s)', wave(1, 700), radius)) AS within
FROM unnest('{0.2,1,2}'::float8[]) AS radius;
-- A session that has not used the index knows as much.
\c
SET search_path = plans, public;
SET jit = off;
SELECT plan(format('SELECT id FROM item ORDER BY v <=> %L LIMIT 10', wave(1, 700))) AS out_of_line;
-- Few rows that pass are sorted.
SELECT plan(format('SELECT id FROM item WHERE id %% 400 = 3 ORDER BY v <=> %L LIMIT 10', wave(1, 700))) AS of_few;
