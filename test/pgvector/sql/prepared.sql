-- Statements as drivers send them: parameters of the type and of text, plans that are
-- made for each value, and one for all of them
CREATE SCHEMA prepared;
SET search_path = prepared, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, category int, v vector(8), h halfvec(8));
INSERT INTO item SELECT i, i % 10, wave(i, 8), wave(i, 8) FROM generate_series(1, 1000) AS i;
CREATE INDEX item_v ON item USING engramk (v vector_cosine_ops);
CREATE INDEX item_h ON item USING engramk (h halfvec_l2_ops);
SET enable_seqscan = off;
SET enable_sort = off;

PREPARE nearest (vector, int) AS
    SELECT array_agg(d) FROM (SELECT v <=> $1 AS d FROM item ORDER BY v <=> $1 LIMIT $2) AS s;
PREPARE from_text (text, int) AS
    SELECT array_agg(d) FROM (SELECT h <-> $1::halfvec AS d FROM item ORDER BY h <-> $1::halfvec LIMIT $2) AS s;
PREPARE of_category (vector, int, int) AS
    SELECT array_agg(d) FROM (SELECT v <=> $1 AS d FROM item WHERE category = $3 ORDER BY d LIMIT $2) AS s;
PREPARE within (vector, float8) AS
    SELECT array_agg(d) FROM (SELECT v <=> $1 AS d FROM item WHERE v <=> $1 < $2 ORDER BY v <=> $1) AS s;

-- Each statement, with seven queries, and what a sort says of them
CREATE TABLE statement (name text, arguments text, rows text);
INSERT INTO statement VALUES ('nearest', '%L, 20', 'SELECT v <=> %L AS d FROM item ORDER BY d LIMIT 20'),
    ('from_text', '%L, 20', 'SELECT h <-> %L AS d FROM item ORDER BY d LIMIT 20'),
    ('of_category', '%L, 20, 3', 'SELECT v <=> %L AS d FROM item WHERE category = 3 ORDER BY d LIMIT 20'),
    ('within', '%L, 0.3', 'SELECT d FROM (SELECT v <=> %L AS d FROM item) AS s WHERE d < 0.3 ORDER BY d');
CREATE VIEW executed AS
SELECT name, index, count(*) AS queries,
    bool_and(distances = by_sort(format('SELECT array_agg(d) FROM (' || rows || ') AS s', wave(query, 8)))) AS equal
FROM statement, generate_series(10, 70, 10) AS query,
    by_index(format('EXECUTE %s(' || arguments || ')', name, wave(query, 8)))
GROUP BY name, index ORDER BY name;
SELECT * FROM executed;
SET plan_cache_mode = force_generic_plan;
SELECT * FROM executed;
SET plan_cache_mode = force_custom_plan;
SELECT * FROM executed;
RESET plan_cache_mode;

-- NULL for a parameter, of which nothing is known when the plan is made
SET plan_cache_mode = force_generic_plan;
PREPARE how_many (vector, int) AS
    SELECT count(*), count(d) FROM (SELECT v <=> $1 AS d FROM item ORDER BY v <=> $1 LIMIT $2) AS s;
EXECUTE how_many(NULL, 20);
EXECUTE how_many(wave(1, 8), NULL);
EXECUTE how_many(wave(1, 8), 0);
EXECUTE within(NULL, 0.3);
EXECUTE within(wave(1, 8), NULL);
EXECUTE nearest(wave(1, 7), 20);
EXECUTE how_many(wave(1, 8), 20);

-- A plan of before an index was rebuilt, or dropped
REINDEX INDEX item_v;
SELECT * FROM executed;
DROP INDEX item_v;
SELECT * FROM executed;
