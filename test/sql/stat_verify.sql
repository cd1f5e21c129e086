-- engramk.verify_rate: exactly that share of the kernel calls is verified, and
-- results are what they are without.  Scalar is not verified, so on a machine
-- that has no other level, none is checked.
CREATE SCHEMA stat_verify;
SET search_path = stat_verify, public;

CREATE FUNCTION of_those_verifiable(calls bigint) RETURNS bigint LANGUAGE sql AS
    $$SELECT CASE WHEN count(*) > 1 THEN calls ELSE 0 END FROM engram_simd_info() WHERE supported$$;

CREATE TABLE pair AS
SELECT i, array(SELECT ((i * 31 + j * 7) % 101 - 50)::real FROM generate_series(1, 24) AS j) AS a,
       array(SELECT ((i * 17 + j * 3) % 89 - 44)::real FROM generate_series(1, 24) AS j) AS b
FROM generate_series(1, 200) AS i;
CREATE TABLE candidates AS SELECT array_agg(b ORDER BY i) AS c FROM pair;

-- 200 pairs by each operation, two norms each, and 10 batches and 10 top-k of
-- one block each: 1,620 kernel calls.
CREATE VIEW work AS
SELECT i, engram_cosine(a, b) AS cosine, engram_cosine_distance(b, a) AS distance, a <#> b AS inner_product,
       a <-> b AS l2, a <+> b AS l1, engram_norm(a) AS norm, engram_normalize(b) AS normal,
       engram_cosine(a, (SELECT p.a FROM pair AS p WHERE p.i = 7)) AS of_query,
       CASE WHEN i <= 10 THEN engram_cosine_batch(a, c) END AS batch,
       CASE WHEN i <= 10 THEN array(SELECT t::text FROM engram_topk(a, c, 3) AS t) END AS topk
FROM pair, candidates;

SELECT engram_stat_reset();
SHOW engramk.verify_rate;
CREATE TABLE unverified AS SELECT * FROM work;
SELECT * FROM engram_stat_verify;
SELECT sum(calls) AS calls FROM engram_stat_kernels;

CREATE TABLE outcome (rate float8, calls bigint, checked bigint, divergences bigint, withdrawn bigint, differences bigint);
DO $$
DECLARE
    rate float8;
    differences bigint;
BEGIN
    FOREACH rate IN ARRAY ARRAY[1, 0.5, 0.25, 0.1, 0, 1]::float8[] LOOP
        PERFORM set_config('engramk.verify_rate', rate::text, false);
        PERFORM engram_stat_reset();
        SELECT count(*) INTO differences
        FROM (SELECT * FROM work EXCEPT SELECT * FROM unverified) AS d;
        INSERT INTO outcome
        SELECT rate, (SELECT sum(calls) FROM engram_stat_kernels), v.*, differences FROM engram_stat_verify AS v;
    END LOOP;
END $$;
SELECT rate, calls, checked = of_those_verifiable((rate * calls)::bigint) AS exactly, divergences, withdrawn, differences FROM outcome WHERE rate <> 0.1;
-- A tenth is no number of the machine's: one call more or less.
SELECT rate, calls, abs(checked - of_those_verifiable(162)) <= 1 AS nearly, divergences, withdrawn, differences FROM outcome WHERE rate = 0.1;

-- With simd off there is nothing to compare.
SELECT engram_stat_reset();
SET engramk.simd = off;
SELECT count(*) FROM (SELECT * FROM work EXCEPT SELECT * FROM unverified) AS d;
SELECT * FROM engram_stat_verify;
RESET engramk.simd;

-- A large batch is verified block by block, of 256 rows at most.
SELECT engram_stat_reset();
SELECT cardinality(engram_cosine_batch('{1,2,3}', array_fill(1::real, ARRAY[3 * 1000])));
SELECT checked = of_those_verifiable(4) AS four FROM engram_stat_verify;

-- An error of the vectors is the same error, and no divergence.
SELECT engram_stat_reset();
SELECT '{1,NaN}'::real[] <=> '{1,1}'::real[];
SELECT engram_norm('{1,Infinity}');
-- Which NaN a sum becomes may differ between levels, and is of no concern.
SELECT '{Infinity,0,0,0,0,0,0,0,NaN}'::real[] <-> '{Infinity,0,0,0,0,0,0,0,1}';
SELECT '{Infinity,0,0,0,0,0,0,0,NaN,1,1,1,1,1,1,1,1,1}'::real[] <=> '{0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}';
SELECT divergences FROM engram_stat_verify;

-- What finds the basis of an index, its entries and their bounds
CREATE TABLE item AS
SELECT i, array(SELECT (sin(i) * cos(j) + sin(i * 3) * cos(j * 2) + sin(i * 7) * cos(j * 3) + sin(i * 19) * cos(j * 4))::real FROM generate_series(1, 128) AS j) AS v
FROM generate_series(1, 1500) AS i;
SELECT engram_stat_reset();
CREATE INDEX item_v ON item USING engramk (v);
SELECT basis > 0 AS has_basis FROM engram_index_info('item_v');
INSERT INTO item SELECT 1500 + i, v FROM item WHERE i <= 100;
SELECT engram_index_check('item_v');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT i FROM item ORDER BY v <-> (SELECT v FROM item WHERE i = 7) LIMIT 100) AS x;
SELECT checked >= of_those_verifiable(1600) AS verified, divergences, withdrawn FROM engram_stat_verify;
RESET engramk.verify_rate;

-- Its range, and that it is for whoever administers the server.
SET engramk.verify_rate = 1.5;
SET engramk.verify_rate = -0.1;
SET engramk.verify_rate = 'NaN';
SELECT name, vartype, context, min_val, max_val, boot_val FROM pg_settings
WHERE name IN ('engramk.verify_rate', 'engramk.track_timing') ORDER BY name COLLATE "C";

SET client_min_messages = warning;
DROP SCHEMA stat_verify CASCADE;
