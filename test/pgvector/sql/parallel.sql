-- Workers share an index: each returns its part in order, and together they return
-- every row once, with NaN after all numbers and NULL last.
CREATE SCHEMA parallel;
SET search_path = parallel, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, v vector(16), h halfvec(16));
INSERT INTO item SELECT i, wave(i % 3000, 16), wave(i % 3000, 16) FROM generate_series(1, 6000) AS i;
UPDATE item SET v = NULL WHERE id % 97 = 0;
UPDATE item SET v = array_fill(0, '{16}'), h = array_fill(0, '{16}') WHERE id % 89 = 0;
CREATE INDEX item_v ON item USING engramk (v vector_cosine_ops);
CREATE INDEX item_h ON item USING engramk (h halfvec_l2_ops);
VACUUM ANALYZE item;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET parallel_leader_participation = off;
-- nothing costs but what workers divide
SET random_page_cost = 0;
SET seq_page_cost = 0;
SET cpu_operator_cost = 0;
SET cpu_index_tuple_cost = 0;
CREATE FUNCTION launched(query text) RETURNS SETOF text LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ' || query LOOP
        RETURN QUERY SELECT substring(line FROM 'Workers Launched: \d+|Parallel Index Scan using \w+')
            WHERE line ~ 'Workers Launched|Parallel';
    END LOOP;
END $$;
SELECT * FROM launched('SELECT id FROM item ORDER BY v <=> wave(77, 16)');
SELECT * FROM launched('SELECT id FROM item ORDER BY h <-> wave(77, 16)::halfvec LIMIT 10');

SELECT operator, wanted, index, rows, equal
FROM (VALUES ('v', '<=>'), ('h', '<->')) AS m(attribute, operator), (VALUES (1), (100), (NULL)) AS l(wanted),
    compare('item', format('%s %s %L', attribute, operator, wave(77, 16)), wanted)
ORDER BY operator, wanted;
SELECT * FROM compare('item', 'v <=> wave(77, 16)', filter => 'v <=> wave(77, 16) < 0.5 AND id % 2 = 0');
SELECT * FROM compare('item', 'v <=> ''[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]''');
-- each row once
SELECT count(*), count(DISTINCT id)
FROM by_index('SELECT array_agg(id) FROM (SELECT id FROM item ORDER BY v <=> wave(77, 16)) AS s'),
    unnest(distances) AS id;
