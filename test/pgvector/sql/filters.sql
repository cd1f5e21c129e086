-- A filter leaves out rows and nothing else: there are as many rows as are wanted and
-- pass, whatever hnsw's iterative scans are set to.
CREATE SCHEMA filters;
SET search_path = filters, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int PRIMARY KEY, category int, note text, v vector(8), h halfvec(8));
INSERT INTO item SELECT i, i % 50, 'note ' || i, wave(i, 8), wave(i, 8) FROM generate_series(1, 2000) AS i;
UPDATE item SET v = NULL, h = NULL WHERE id % 100 = 0;
UPDATE item SET v = array_fill(0, '{8}'), h = array_fill(0, '{8}') WHERE id % 100 = 1;
CREATE INDEX item_v ON item USING engramk (v vector_cosine_ops);
CREATE INDEX item_h ON item USING engramk (h halfvec_l2_ops);
ANALYZE item;

-- From all rows that pass to none
SELECT filter, compare.*
FROM (VALUES ('category <> 7'), ('category = 7'), ('id % 500 = 3'), ('note LIKE ''%99'''), ('id < 0'),
    ('category IN (1, 2) AND note > ''note 5'''), ('random() >= 0'),
    ('EXISTS (SELECT FROM item AS o WHERE o.id = item.id + 1990)')) AS f(filter),
    compare('item', 'v <=> wave(77, 8)', 30, filter);

-- Conditions on the distance itself, up to and without the rows at that distance
SELECT comparison, by_vector.*, by_halfvec.*
FROM unnest('{<,<=,>=,>}'::text[]) AS comparison,
    (SELECT v <=> wave(77, 8) AS v, h <-> wave(77, 8)::halfvec AS h FROM item WHERE id = 90) AS distance,
    compare('item', 'v <=> wave(77, 8)',
        filter => format('v <=> wave(77, 8) %s %L', comparison, distance.v)) AS by_vector,
    compare('item', 'h <-> wave(77, 8)::halfvec',
        filter => format('h <-> wave(77, 8)::halfvec %s %L', comparison, distance.h)) AS by_halfvec;
SELECT filter, compare.*
FROM (VALUES ('0.5 > v <=> wave(77, 8)'), ('v <=> wave(77, 8) BETWEEN 0.1 AND 0.2'), ('v <=> wave(77, 8) < 0'),
    ('v <=> wave(77, 8) < ''Infinity'''), ('v <=> wave(77, 8) < ''NaN'''), ('v <=> wave(77, 8) <= ''NaN'''),
    ('v <=> wave(77, 8) < NULL'), ('1 - (v <=> wave(77, 8)) > 0.8'), ('v <=> wave(78, 8) < 0.5'),
    ('v <=> wave(77, 8) < 0.5 AND category < 10'), ('v <=> wave(77, 8) < 0.5::real'), ('0.3::real >= v <=> wave(77, 8)')) AS f(filter),
    compare('item', 'v <=> wave(77, 8)', filter => filter);

EXPLAIN (COSTS OFF) SELECT id FROM item WHERE 0.3::real >= v <=> '[1,0,0,0,0,0,0,0]' ORDER BY v <=> '[1,0,0,0,0,0,0,0]' LIMIT 3;

-- Within a radius, without an order: the distances of engramk, in double
CREATE FUNCTION within(condition text, OUT index text, OUT rows int) LANGUAGE sql AS $$
    SELECT index, cardinality(distances) FROM by_index('SELECT array_agg(id) FROM item WHERE ' || condition)
$$;
SELECT * FROM within('engram_cosine_within(v, wave(77, 8), 0.2)');
SELECT * FROM within('engram_l2_within(h, wave(77, 8)::halfvec, 1.5)');
SELECT count(*) FROM item WHERE engram_cosine_distance(v, wave(77, 8)) <= 0.2;
SELECT count(*) FROM item WHERE engram_l2_distance(h::real[], wave(77, 8)::halfvec::real[]) <= 1.5;

-- Columns that filter in the index
CREATE TABLE filtered AS TABLE item;
CREATE INDEX filtered_v ON filtered USING engramk (v vector_cosine_ops, category) WITH (m = 16);
CREATE INDEX filtered_h ON filtered USING engramk (h halfvec_ip_ops, category, note);
ANALYZE filtered;
SELECT * FROM compare('filtered', 'v <=> wave(77, 8)', 30, 'category = 7');
SELECT * FROM compare('filtered', 'v <=> wave(77, 8)', 30, 'category = 7 AND v <=> wave(77, 8) < 0.9');
SELECT * FROM compare('filtered', 'h <#> wave(77, 8)::halfvec', 30, 'category < 7 AND note = ''note 53''');

-- Joins
CREATE TABLE label (category int, label text);
INSERT INTO label SELECT i, 'label ' || i % 5 FROM generate_series(0, 49) AS i;
ANALYZE label;
SELECT rows, equal FROM compare('item JOIN label USING (category)', 'v <=> wave(77, 8)', 20);
SELECT rows, equal FROM compare('item JOIN label USING (category)', 'v <=> wave(77, 8)', 20, 'label = ''label 3''');
