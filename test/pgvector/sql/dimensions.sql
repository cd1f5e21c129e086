-- Up to 8,000 dimensions for either type, beyond hnsw's 2,000 and 4,000, in columns
-- that declare how many, and in those that do not.
CREATE SCHEMA dimensions;
SET search_path = dimensions, public;
\set ECHO none
\i compare.sql
\set ECHO all

CREATE TABLE one (v vector(1), h halfvec(1));
INSERT INTO one SELECT ARRAY[i], ARRAY[-i] FROM generate_series(-20, 20) AS i;
CREATE INDEX one_v ON one USING engramk (v vector_l2_ops);
CREATE INDEX one_h ON one USING engramk (h halfvec_cosine_ops);
SELECT * FROM compare('one', 'v <-> ''[3.4]''');
SELECT * FROM compare('one', 'h <=> ''[3.4]''');

CREATE TABLE wide (v vector(2001), h halfvec(4001));
CREATE INDEX wide_v ON wide USING engramk (v vector_ip_ops);
CREATE INDEX wide_h ON wide USING engramk (h halfvec_ip_ops);
INSERT INTO wide SELECT wave(i, 2001), wave(i, 4001) FROM generate_series(1, 60) AS i;
SELECT * FROM compare('wide', 'v <#> wave(7, 2001)');
SELECT * FROM compare('wide', 'h <#> wave(7, 4001)::halfvec');
REINDEX TABLE wide;
SELECT * FROM compare('wide', 'v <#> wave(7, 2001)', 5);
SELECT * FROM compare('wide', 'h <#> wave(7, 4001)::halfvec', 5);

CREATE TABLE widest (v vector(8000), h halfvec(8000));
INSERT INTO widest SELECT wave(i, 8000), wave(i, 8000) FROM generate_series(1, 20) AS i;
CREATE INDEX widest_v ON widest USING engramk (v vector_cosine_ops);
CREATE INDEX widest_h ON widest USING engramk (h halfvec_l2_ops);
INSERT INTO widest SELECT wave(i, 8000), wave(i, 8000) FROM generate_series(21, 30) AS i;
SELECT * FROM compare('widest', 'v <=> wave(7, 8000)');
SELECT * FROM compare('widest', 'h <-> wave(27, 8000)::halfvec');

CREATE TABLE too_wide (v vector, h halfvec);
INSERT INTO too_wide VALUES (wave(1, 8001), NULL);
CREATE INDEX ON too_wide USING engramk (v vector_l2_ops);
CREATE INDEX ON too_wide USING engramk (h halfvec_l2_ops);
INSERT INTO too_wide VALUES (NULL, wave(1, 8001));
-- A column that declares too many is refused at once.
CREATE TABLE declared (v vector(8001), h halfvec(8000));
CREATE INDEX ON declared USING engramk (v vector_l2_ops);
CREATE INDEX ON declared USING engramk (h halfvec_l2_ops);
CREATE INDEX ON declared USING engramk ((h::halfvec(8002)) halfvec_l2_ops);
-- the first thousands of them are often enough
CREATE INDEX too_wide_sub ON too_wide USING engramk ((subvector(v, 1, 1000)::vector(1000)) vector_l2_ops);
SELECT * FROM compare('too_wide', 'subvector(v, 1, 1000)::vector(1000) <-> wave(3, 1000)');

-- hnsw wants a number in the column; here the first vector settles it.
CREATE TABLE undeclared (id int, v vector);
CREATE INDEX undeclared_v ON undeclared USING engramk (v vector_l2_ops);
INSERT INTO undeclared SELECT i, wave(i, 5) FROM generate_series(1, 100) AS i;
SELECT * FROM compare('undeclared', 'v <-> wave(7, 5)');
INSERT INTO undeclared VALUES (101, wave(1, 6));
TRUNCATE undeclared;
INSERT INTO undeclared SELECT i, wave(i, 6) FROM generate_series(1, 100) AS i;
SELECT * FROM compare('undeclared', 'v <-> wave(7, 6)');
