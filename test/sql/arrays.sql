-- The form in which an array is stored or passed does not matter: lower
-- bounds, null bitmaps, short headers, compression, TOAST, the expanded
-- arrays of PL/pgSQL, domains, slices and fields of composites.
CREATE SCHEMA arrays;
SET search_path = arrays, public;

-- A short vector and two that TOAST gets to handle; plain is how each is when
-- it was just built, other is a partner to compare it with.
CREATE FUNCTION plain(dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((i % 5 + 0.25)::real ORDER BY i) FROM generate_series(1, dims) AS i
$$;
CREATE FUNCTION other(dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((i % 7 - 3.5)::real ORDER BY i) FROM generate_series(1, dims) AS i
$$;

-- All results that involve v, in either place, as bytes.
CREATE FUNCTION answer(v real[], o real[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' ', v <=> o, o <=> v, v <#> o, o <#> v, v <-> o, o <-> v, v <+> o, o <+> v,
                     engram_cosine(v, o), engram_cosine(o, v), engram_inner_product(v, o), engram_inner_product(o, v),
                     engram_norm(v), engram_is_valid(v), md5(array_send(engram_normalize(v))),
                     engram_cosine_batch(v, o || v), engram_cosine_batch(o, v),
                     (SELECT array_agg(t ORDER BY t) FROM engram_topk(v, o || o, 2) AS t),
                     (SELECT array_agg(t ORDER BY t) FROM engram_topk(o, v, 2) AS t),
                     v <=> v, v <-> v)
$$;
CREATE TABLE truth AS
SELECT dims, plain(dims) AS v, other(dims) AS o, answer(plain(dims), other(dims)) FROM unnest(ARRAY[5, 1000, 5000]) AS dims;
SELECT dims, length(answer) > 200 AS says_something FROM truth ORDER BY dims;

-- Every form goes into one table; proof says that it is what it claims to be.
CREATE TABLE form (name text, dims int, answer text, proof boolean);

-- Lower bounds.
SELECT '[-5:-3]={1,2,3}'::real[] <-> '[2147483644:2147483646]={1,2,5}' AS l2,
       engram_inner_product('[0:2]={1,2,3}', '{4,5,6}') AS dot;
INSERT INTO form
SELECT 'lower bound ' || bound, dims, answer(moved, o), array_lower(moved, 1) = bound
FROM truth, unnest(ARRAY[-2147483648, -5, 0, 2, 2000000000]) AS bound,
     LATERAL (SELECT ('[' || bound || ':' || bound + dims - 1 || ']=' || v::text)::real[]) AS m(moved);

-- A null bitmap that marks no element null.
CREATE TABLE bitmap AS SELECT dims, o, plain(dims) AS v FROM truth;
UPDATE bitmap SET v[3] = NULL;
UPDATE bitmap SET v[3] = (SELECT t.v[3] FROM truth AS t WHERE t.dims = bitmap.dims);
INSERT INTO form
SELECT 'null bitmap', dims, answer(bitmap.v, o), pg_column_size(bitmap.v || '{}'::real[]) > 4 + 20 + 4 * dims
FROM bitmap JOIN truth AS t USING (dims, o);
INSERT INTO form
SELECT 'slice without the null', dims, answer((NULL::real || v)[2:dims + 1], o),
       pg_column_size((NULL::real || v)[2:dims + 1]) > pg_column_size((0::real || v)[2:dims + 1])
FROM truth;
INSERT INTO form
SELECT 'null removed', dims, answer(array_remove(v || NULL::real, NULL), o), array_length(v || NULL::real, 1) = dims + 1
FROM truth;
INSERT INTO form
SELECT 'null replaced', dims, answer(array_replace(array_replace(v, 4.25, NULL), NULL, 4.25), o),
       array_position(array_replace(v, 4.25, NULL), NULL) = 4
FROM truth;

-- Stored forms.  A short header takes 1 byte and not 4.
CREATE FUNCTION toast_chunks(relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chunks bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = relation) INTO chunks;
    RETURN chunks;
END $$;

CREATE TABLE short_header (v real[], dims int);
INSERT INTO short_header SELECT plain(dims), dims FROM truth WHERE dims = 5;
INSERT INTO form
SELECT 'short header', dims, answer(short_header.v, o), pg_column_size(short_header.v) = 1 + 20 + 4 * dims
FROM short_header JOIN truth USING (dims);

-- An odd byte before it, so that the header is not aligned.
CREATE TABLE unaligned (a boolean, v real[], dims int);
INSERT INTO unaligned SELECT true, plain(dims), dims FROM truth WHERE dims = 5;
INSERT INTO form
SELECT 'short header, not aligned', dims, answer(unaligned.v, o), a FROM unaligned JOIN truth USING (dims);

CREATE TABLE pglz (v real[] COMPRESSION pglz, dims int);
INSERT INTO pglz SELECT plain(dims), dims FROM truth WHERE dims > 5;
INSERT INTO form
SELECT 'pglz', dims, answer(pglz.v, o), pg_column_compression(pglz.v) = 'pglz' AND toast_chunks('pglz') = 0
FROM pglz JOIN truth USING (dims);

-- Where the server has no lz4, this is pglz once more.
CREATE TABLE lz4 (v real[], dims int);
DO $$
BEGIN
    ALTER TABLE lz4 ALTER COLUMN v SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
INSERT INTO lz4 SELECT plain(dims), dims FROM truth WHERE dims > 5;
INSERT INTO form
SELECT 'lz4', dims, answer(lz4.v, o), pg_column_compression(lz4.v) IS NOT NULL
FROM lz4 JOIN truth USING (dims);

CREATE TABLE external (v real[], dims int);
ALTER TABLE external ALTER COLUMN v SET STORAGE EXTERNAL;
INSERT INTO external SELECT plain(dims), dims FROM truth WHERE dims > 5;
INSERT INTO form
SELECT 'external', dims, answer(external.v, o),
       pg_column_compression(external.v) IS NULL AND toast_chunks('external') > 10
FROM external JOIN truth USING (dims);

-- Compressed and out of line: digits that pglz can squeeze, but not enough.
-- The 17 chunks of its partner are not its own.
CREATE TABLE compressed_external (v real[] COMPRESSION pglz, o real[], dims int);
ALTER TABLE compressed_external ALTER COLUMN o SET STORAGE EXTERNAL;
INSERT INTO compressed_external
SELECT array_agg((hashint4(i) & 63)::real ORDER BY i), other(8000), 8000 FROM generate_series(1, 8000) AS i;
INSERT INTO truth
SELECT dims, fresh, other(dims), answer(fresh, other(dims))
FROM compressed_external, LATERAL (SELECT array_agg(x ORDER BY i) FROM unnest(v) WITH ORDINALITY AS e(x, i)) AS f(fresh);
INSERT INTO form
SELECT 'compressed and external', dims, answer(v, o), pg_column_compression(v) = 'pglz' AND toast_chunks('compressed_external') > 17
FROM compressed_external;

CREATE TABLE main (v real[], dims int);
ALTER TABLE main ALTER COLUMN v SET STORAGE MAIN;
INSERT INTO main SELECT plain(dims), dims FROM truth WHERE dims = 1000;
INSERT INTO form SELECT 'main', dims, answer(main.v, o), toast_chunks('main') = 0 FROM main JOIN truth USING (dims);

CREATE TABLE plain_storage (v real[], dims int);
ALTER TABLE plain_storage ALTER COLUMN v SET STORAGE PLAIN;
INSERT INTO plain_storage SELECT plain(dims), dims FROM truth WHERE dims <= 1000;
INSERT INTO form
SELECT 'plain', dims, answer(p.v, o), pg_column_size(p.v) = 4 + 20 + 4 * dims
FROM plain_storage AS p JOIN truth USING (dims);

-- Expanded arrays.  answer() is called with the variable itself, so what it
-- gets is the expanded array; the operators are called here for the same reason.
CREATE FUNCTION answer_here(v real[], o real[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mine real[] := v;
    distances float8[];
BEGIN
    mine[1] := mine[1];
    distances := ARRAY[mine <=> o, o <=> mine, mine <#> o, o <#> mine, mine <-> o, o <-> mine, mine <+> o, o <+> mine,
                       engram_norm(mine)];
    RETURN CASE WHEN distances IS DISTINCT FROM ARRAY[v <=> o, o <=> v, v <#> o, o <#> v, v <-> o, o <-> v, v <+> o, o <+> v,
                                                      engram_norm(v)]
                THEN 'operators differ' ELSE answer(mine, o) END;
END $$;
INSERT INTO form SELECT 'expanded, assigned to', dims, answer_here(v, o), true FROM truth;

CREATE FUNCTION answer_built(v real[], o real[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mine real[];
BEGIN
    FOR i IN 1 .. array_length(v, 1) LOOP
        mine[i] := v[i];
    END LOOP;
    RETURN answer(mine, o);
END $$;
INSERT INTO form SELECT 'expanded, built up', dims, answer_built(v, o), true FROM truth;

CREATE FUNCTION answer_flat_inside(v real[], o real[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mine real[] := v;
    theirs real[] := o;
BEGIN
    RETURN answer(mine, theirs);
END $$;
INSERT INTO form SELECT 'expanded, flat inside', dims, answer_flat_inside(v, o), true FROM truth;

-- An element that was null for a while; one that still is; a hole.
CREATE FUNCTION answer_once_null(v real[], o real[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mine real[] := v;
BEGIN
    mine[2] := NULL;
    mine[2] := v[2];
    RETURN answer(mine, o);
END $$;
INSERT INTO form SELECT 'expanded, once null', dims, answer_once_null(v, o), true FROM truth;
DO $$
DECLARE
    mine real[] := '{1,2,3}';
BEGIN
    mine[2] := NULL;
    RAISE NOTICE 'with a null: valid %', engram_is_valid(mine);
    mine := '{1}';
    mine[3] := 3;
    RAISE NOTICE 'with a hole: % valid %', mine, engram_is_valid(mine);
    mine[2] := 'NaN';
    RAISE NOTICE 'with NaN: % valid %', mine, engram_is_valid(mine);
    mine[2] := 2;
    RAISE NOTICE 'filled: valid % norm^2 %', engram_is_valid(mine), round(engram_norm(mine) ^ 2);
    mine[2] := NULL;
    RAISE NOTICE '%', mine <-> '{1,2,3}';
EXCEPTION WHEN null_value_not_allowed THEN
    RAISE NOTICE 'null: %', SQLERRM;
END $$;
DO $$
DECLARE
    mine real[] := '{{1,2},{3,4}}';
    none real[] := '{}';
BEGIN
    mine[1][1] := 5;
    RAISE NOTICE 'two-dimensional candidates, assigned to: %', engram_cosine_batch('{5,2}', mine);
    RAISE NOTICE 'valid % %', engram_is_valid(mine), engram_is_valid(none);
    RAISE NOTICE '%', engram_norm(mine);
EXCEPTION WHEN array_subscript_error THEN
    RAISE NOTICE 'two-dimensional: %', SQLERRM;
END $$;

-- The array that a function is given stays as it was.
DO $$
DECLARE
    mine real[] := '{3,4}';
    unit real[];
BEGIN
    mine[1] := 3;
    unit := engram_normalize(mine);
    unit[1] := 7;
    RAISE NOTICE '% % %', mine, unit, engram_norm(mine);
END $$;

-- Domains, slices, fields, casts, and arrays that SQL puts together.
CREATE DOMAIN embedding AS real[] CHECK (engram_is_valid(VALUE));
CREATE DOMAIN embedding_of_5 AS embedding CHECK (array_length(VALUE, 1) = 5);
CREATE TABLE domain_column (v embedding, five embedding_of_5);
INSERT INTO domain_column VALUES (plain(1000), plain(5));
INSERT INTO form SELECT 'domain', 1000, answer(v, other(1000)), pg_typeof(v) = 'embedding'::regtype FROM domain_column;
INSERT INTO form SELECT 'domain over domain', 5, answer(five, other(5)), pg_typeof(five) = 'embedding_of_5'::regtype FROM domain_column;
SELECT v <=> v AS domain_to_domain, five <-> '{1.25,2.25,3.25,4.25,3.25}' AS to_literal, five <-> plain(5) AS to_array FROM domain_column;
INSERT INTO domain_column VALUES ('{1,NaN}', NULL);
INSERT INTO domain_column VALUES ('{1,2}', '{1,2}');

INSERT INTO form SELECT 'slice', dims, answer(('{9,9}' || v || 9::real)[3:dims + 2], o), true FROM truth;
INSERT INTO form SELECT 'slice from the start', dims, answer((v || v)[:dims], o), true FROM truth;
INSERT INTO form
SELECT 'slice of a column', 1000, answer(v[1001:2000], other(1000)), toast_chunks('external') > 0
FROM external WHERE dims = 5000;

CREATE TYPE document AS (id int, v real[], note text);
CREATE TABLE document_table (d document, list document[]);
INSERT INTO document_table
SELECT ROW(dims, v, 'x')::document, ARRAY[ROW(1, o, NULL), ROW(2, v, 'y')]::document[] FROM truth;
INSERT INTO form SELECT 'field', (d).id, answer((d).v, other((d).id)), (d).note = 'x' FROM document_table WHERE (d).id < 8000;
INSERT INTO form SELECT 'field in an array', (d).id, answer(list[2].v, list[1].v), list[2].note = 'y' FROM document_table;

INSERT INTO form SELECT 'from text', dims, answer(v::text::real[], o), true FROM truth;
INSERT INTO form SELECT 'from double precision', dims, answer(v::float8[]::real[], o), true FROM truth;
INSERT INTO form SELECT 'from json', dims, answer(array(SELECT e::real FROM json_array_elements_text(to_json(v)) AS e), o), true FROM truth;
INSERT INTO form SELECT 'sub-select', dims, answer((SELECT t.v FROM truth AS t WHERE t.dims = truth.dims), o), true FROM truth;

-- Each form was what it claims to be, and gave the same answer.
SELECT name, count(*) AS vectors, bool_and(proof) AS proof, bool_and(form.answer = truth.answer) AS same
FROM form JOIN truth USING (dims) GROUP BY name ORDER BY name COLLATE "C";
SELECT count(*) FILTER (WHERE truth.dims IS NULL) AS without_truth FROM form LEFT JOIN truth USING (dims);

SET client_min_messages = warning;
DROP SCHEMA arrays CASCADE;
