-- Indexes of expressions and of some rows, as pgvector's documents recommend them,
-- and columns of a domain
CREATE SCHEMA expressions;
SET search_path = expressions, public;
\set ECHO none
\i compare.sql
\set ECHO all
CREATE TABLE item (id int, category int, v vector(8), a real[]);
INSERT INTO item SELECT i, i % 20, wave(i, 8), wave(i, 8) FROM generate_series(1, 1000) AS i;

-- Half precision in the index, full precision in the table
CREATE INDEX item_half ON item USING engramk ((v::halfvec(8)) halfvec_cosine_ops) WITH (m = 16);
SELECT * FROM compare('item', 'v::halfvec(8) <=> wave(77, 8)::halfvec(8)', 40);
SELECT * FROM compare('item', 'v::halfvec(8) <=> ''[1,2,3,4,5,6,7,8]''', 40);
SELECT * FROM compare('item', 'v::halfvec(8) <=> ''[1,2,3,4,5,6,7,8]''',
    filter => 'v::halfvec(8) <=> ''[1,2,3,4,5,6,7,8]'' < 0.9');
-- another expression
SELECT * FROM compare('item', 'v::halfvec <=> wave(77, 8)::halfvec', 40);
-- candidates from the index, in order of the column itself
SELECT * FROM compare('(SELECT * FROM item ORDER BY v::halfvec(8) <=> wave(77, 8)::halfvec(8) LIMIT 40) AS s',
    'v <=> wave(77, 8)', 10);

-- Arrays that are vectors, parts of vectors, and functions of them
CREATE INDEX item_array ON item USING engramk ((a::vector(8)) vector_l2_ops);
CREATE INDEX item_part ON item USING engramk ((subvector(v, 1, 3)::vector(3)) vector_cosine_ops);
CREATE INDEX item_unit ON item USING engramk (l2_normalize(v) vector_ip_ops);
SELECT * FROM compare('item', 'a::vector(8) <-> wave(77, 8)', 40);
SELECT * FROM compare('item', 'subvector(v, 1, 3)::vector(3) <=> ''[1,2,3]''', 40);
SELECT * FROM compare('item', 'l2_normalize(v) <#> l2_normalize(wave(77, 8))', 40);
INSERT INTO item SELECT i, i % 20, wave(i, 8), wave(i, 8) FROM generate_series(1001, 1100) AS i;
SELECT * FROM compare('item', 'a::vector(8) <-> wave(77, 8)');
SELECT * FROM compare('item', 'subvector(v, 1, 3)::vector(3) <=> ''[1,2,3]''');
INSERT INTO item VALUES (0, 0, wave(1, 8), '{1,2,3}');

-- An index of some rows serves queries for these, and is kept of them.
CREATE TABLE chosen (id int, category int, v vector(8), deleted boolean DEFAULT false);
INSERT INTO chosen SELECT i, i % 20, wave(i, 8) FROM generate_series(1, 1000) AS i;
CREATE INDEX chosen_12 ON chosen USING engramk (v vector_l2_ops) WHERE category = 12;
CREATE INDEX chosen_live ON chosen USING engramk (v vector_cosine_ops) WHERE NOT deleted;
SELECT * FROM compare('chosen', 'v <-> wave(77, 8)', 40, 'category = 12');
SELECT * FROM compare('chosen', 'v <-> wave(77, 8)', 40, 'category = 13');
SELECT * FROM compare('chosen', 'v <=> wave(77, 8)', 40, 'NOT deleted');
UPDATE chosen SET deleted = true WHERE id % 3 = 0;
UPDATE chosen SET category = 12 WHERE id < 100;
SELECT * FROM compare('chosen', 'v <-> wave(77, 8)', filter => 'category = 12');
SELECT * FROM compare('chosen', 'v <=> wave(77, 8)', filter => 'NOT deleted');
SELECT engram_index_check('chosen_live') >= 667 AS checked;

-- Models of several dimensions in one column, with an index for each
CREATE TABLE mixed (id int, model int, v vector);
INSERT INTO mixed SELECT i, i % 3, wave(i, 3 + i % 3) FROM generate_series(1, 900) AS i;
CREATE INDEX mixed_3 ON mixed USING engramk ((v::vector(3)) vector_l2_ops) WHERE model = 0;
CREATE INDEX mixed_4 ON mixed USING engramk ((v::vector(4)) vector_l2_ops) WHERE model = 1;
CREATE INDEX mixed_5 ON mixed USING engramk (v vector_l2_ops) WHERE vector_dims(v) = 5;
SELECT * FROM compare('mixed', 'v::vector(3) <-> wave(77, 3)', 40, 'model = 0');
SELECT * FROM compare('mixed', 'v::vector(4) <-> wave(77, 4)', 40, 'model = 1');
SELECT * FROM compare('mixed', 'v <-> wave(77, 5)', 40, 'vector_dims(v) = 5');
INSERT INTO mixed VALUES (0, 0, wave(1, 4));

-- Domains, and domains over them
CREATE DOMAIN embedding AS vector(8);
CREATE DOMAIN unit AS embedding CHECK (abs(vector_norm(VALUE) - 1) < 0.001);
CREATE DOMAIN half_embedding AS halfvec(8);
CREATE TABLE of_domain (id int, e embedding, u unit, h half_embedding);
INSERT INTO of_domain SELECT i, wave(i, 8), l2_normalize(wave(i, 8)), wave(i, 8) FROM generate_series(1, 500) AS i;
CREATE INDEX of_domain_e ON of_domain USING engramk (e vector_cosine_ops);
CREATE INDEX of_domain_u ON of_domain USING engramk (u vector_ip_ops);
CREATE INDEX of_domain_h ON of_domain USING engramk (h halfvec_l2_ops);
INSERT INTO of_domain SELECT i, wave(i, 8), l2_normalize(wave(i, 8)), wave(i, 8) FROM generate_series(501, 600) AS i;
SELECT * FROM compare('of_domain', 'e <=> wave(77, 8)');
SELECT * FROM compare('of_domain', 'e <=> wave(77, 8)::embedding', 40, 'e <=> wave(77, 8)::embedding < 0.5');
SELECT * FROM compare('of_domain', 'u <#> wave(77, 8)');
SELECT * FROM compare('of_domain', 'h <-> wave(77, 8)::halfvec');
