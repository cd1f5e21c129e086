-- Bad input gets the documented SQLSTATE and message, from every function
-- alike, and the session goes on to give right answers.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION engramk;

SELECT no_plan();

-- The error of a statement: SQLSTATE, message, detail and hint.  The argument
-- of a constant call is an error of planning, so each is also tried with
-- values that the planner does not know.
CREATE FUNCTION error_of(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	code := '00000';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

-- Both ways to pass the arguments, and a right answer after each.
CREATE FUNCTION fails(call text, VARIADIC arguments text[]) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	code CONSTANT text := arguments[array_upper(arguments, 1) - 1];
	message CONSTANT text := arguments[array_upper(arguments, 1)];
	literals text := call;
	columns text := call;
	source text := '';
BEGIN
	FOR i IN 1 .. array_upper(arguments, 1) - 2 LOOP
		literals := replace(literals, '$' || i, quote_literal(arguments[i]));
		columns := replace(columns, '$' || i, 'x.a' || i);
		source := source || format('%s%L::%s AS a%s', CASE WHEN i > 1 THEN ', ' ELSE '' END,
			arguments[i], CASE WHEN i < 3 THEN 'real[]' ELSE 'integer' END, i);
	END LOOP;
	RETURN NEXT throws_ok('SELECT ' || literals, code, message, literals);
	RETURN NEXT throws_ok(format('SELECT %s FROM (SELECT %s OFFSET 0) x', columns, source), code, message,
		columns || ' from ' || source);
	RETURN NEXT is(engram_cosine('{3,4}', '{4,3}'), 0.96::float8, 'the session gives right answers after it');
END $$;

CREATE TEMPORARY TABLE pair_call (call text);
INSERT INTO pair_call VALUES
	('engram_cosine($1, $2)'), ('engram_cosine_distance($1, $2)'), ('$1 <=> $2'),
	('engram_inner_product($1, $2)'), ('engram_negative_inner_product($1, $2)'), ('$1 <#> $2'),
	('engram_l2_distance($1, $2)'), ('$1 <-> $2'),
	('engram_l1_distance($1, $2)'), ('$1 <+> $2');
-- Operators of two bare literals would be those of some other type.
UPDATE pair_call SET call = replace(replace(call, '$1', '$1::real[]'), '$2', '$2::real[]') WHERE call LIKE '$%';
CREATE TEMPORARY TABLE one_call (call text);
INSERT INTO one_call VALUES ('engram_norm($1)'), ('engram_normalize($1)');

-- Two vectors

SELECT fails(call, '{1,2,3}', '{1,2,3,4}', '22000', 'different vector dimensions 3 and 4') FROM pair_call;
SELECT fails(call, '{1,2,3,4}', '{1,2,3}', '22000', 'different vector dimensions 4 and 3') FROM pair_call;
SELECT fails(call, '{}', '{1}', '22000', 'vector must have at least 1 dimension') FROM pair_call;
SELECT fails(call, '{1}', '{}', '22000', 'vector must have at least 1 dimension') FROM pair_call;
SELECT fails(call, '{}', '{}', '22000', 'vector must have at least 1 dimension') FROM pair_call;
SELECT fails(call, '{{1,2}}', '{1,2}', '2202E', 'vector must be a one-dimensional array') FROM pair_call;
SELECT fails(call, '{1,2}', '{{1},{2}}', '2202E', 'vector must be a one-dimensional array') FROM pair_call;
SELECT fails(call, '{1,NULL}', '{1,2}', '22004', 'vector must not contain nulls') FROM pair_call;
SELECT fails(call, '{1,2}', '{NULL,NULL}', '22004', 'vector must not contain nulls') FROM pair_call;
SELECT fails(call, '{1,NaN}', '{1,2}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;
SELECT fails(call, '{1,2}', '{Infinity,2}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;
SELECT fails(call, '{-Infinity,2}', '{1,2}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;
-- None of these hides behind another rule: zero vectors, equal vectors, infinities that cancel.
SELECT fails(call, '{0,0}', '{1,Infinity}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;
SELECT fails(call, '{NaN,0}', '{0,0}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;
SELECT fails(call, '{Infinity,1}', '{Infinity,1}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;
SELECT fails(call, '{Infinity,-Infinity}', '{1,1}', '22003', 'vector must not contain NaN or infinity') FROM pair_call;

-- One vector

SELECT fails(call, '{}', '22000', 'vector must have at least 1 dimension') FROM one_call;
SELECT fails(call, '{{1,2}}', '2202E', 'vector must be a one-dimensional array') FROM one_call;
SELECT fails(call, '{1,NULL}', '22004', 'vector must not contain nulls') FROM one_call;
SELECT fails(call, '{0,NaN}', '22003', 'vector must not contain NaN or infinity') FROM one_call;
SELECT fails(call, '{Infinity}', '22003', 'vector must not contain NaN or infinity') FROM one_call;

SELECT is(engram_is_valid(v::real[]), false, 'engram_is_valid says of ' || v || ' no error but no')
	FROM unnest(ARRAY['{}', '{{1,2}}', '{1,NULL}', '{NaN}', '{1,Infinity}', '{-Infinity}']) v;
SELECT is(engram_is_valid(v::real[]), true, 'engram_is_valid says of ' || v || ' yes')
	FROM unnest(ARRAY['{0}', '[-5:-3]={1,2,3}', '{3.4028235e38,-0,1e-45}']) v;

-- One query, many candidates

CREATE TEMPORARY TABLE batch_call (call text);
INSERT INTO batch_call VALUES ('engram_cosine_batch($1, $2)'), ('engram_topk($1, $2, 3)');

SELECT fails(call, '{}', '{1,2}', '22000', 'vector must have at least 1 dimension') FROM batch_call;
SELECT fails(call, '{{1,2}}', '{1,2}', '2202E', 'vector must be a one-dimensional array') FROM batch_call;
SELECT fails(call, '{1,NULL}', '{1,2}', '22004', 'vector must not contain nulls') FROM batch_call;
SELECT fails(call, '{1,NaN}', '{1,2}', '22003', 'vector must not contain NaN or infinity') FROM batch_call;
SELECT fails(call, '{1,2}', '{{1,2,3}}', '22000', 'different vector dimensions 2 and 3') FROM batch_call;
SELECT fails(call, '{1,2}', '{1,2,3}', '22000', '3 elements are not a whole number of vectors with 2 dimensions') FROM batch_call;
SELECT fails(call, '{1,2}', '{{{1,2}}}', '2202E', 'candidates must be a one- or two-dimensional array') FROM batch_call;
SELECT fails(call, '{1,2}', '{{1,2},{3,NULL}}', '22004', 'vector must not contain nulls') FROM batch_call;
SELECT fails(call, '{1,2}', '{1,2,Infinity,4}', '22003', 'vector must not contain NaN or infinity') FROM batch_call;
SELECT fails(call, '{0,0}', '{1,2,3,-Infinity}', '22003', 'vector must not contain NaN or infinity') FROM batch_call;

SELECT fails('engram_topk($1, $2, $3)', '{1,2}', '{1,2}', k, '22023', 'k must be between 1 and 2147483647')
	FROM unnest(ARRAY['0', '-1', '-2147483648']) k;
-- Bad k is bad even where there is nothing to choose from.
SELECT fails('engram_topk($1, $2, $3)', '{1,2}', '{}', '0', '22023', 'k must be between 1 and 2147483647');

-- The detail says which element of which vector

SELECT is((error_of(call)).detail, detail, call || ' names the element')
FROM (VALUES
	($$SELECT engram_cosine('{1,NaN,Infinity}', '{1,2,3}')$$, 'Element 2 of the first vector is NaN.'),
	($$SELECT engram_cosine('{1,2,3}', '{1,2,-Infinity}')$$, 'Element 3 of the second vector is -Infinity.'),
	($$SELECT engram_l2_distance('{Infinity,2,3}', '{NaN,2,3}')$$, 'Element 1 of the first vector is Infinity.'),
	($$SELECT '[-5:-3]={1,2,NaN}'::real[] <+> '{1,2,3}'::real[]$$, 'Element 3 of the first vector is NaN.'),
	($$SELECT engram_norm('{1,NaN}')$$, 'Element 2 of the vector is NaN.'),
	($$SELECT engram_normalize('{-Infinity,1}')$$, 'Element 1 of the vector is -Infinity.'),
	($$SELECT engram_cosine_batch('{1,NaN}', '{1,2}')$$, 'Element 2 of the query is NaN.'),
	($$SELECT engram_cosine_batch('{1,2}', '{1,2,3,NaN,NaN,NaN}')$$, 'Element 2 of candidate 2 is NaN.'),
	($$SELECT engram_topk('{1,2}', '{{1,2},{3,4},{Infinity,6}}', 1)$$, 'Element 1 of candidate 3 is Infinity.')
) AS example (call, detail);

-- The same, where one vector stays and was prepared, on either side
CREATE TEMPORARY TABLE item (id integer, embedding real[]);
INSERT INTO item VALUES (1, '{1,2}'), (2, '{3,4}'), (3, '{5,6}'), (4, '{7,NaN}');
SELECT is((error_of(call)).detail, detail, call || ' names the element')
FROM (VALUES
	($$SELECT count(embedding <=> '{1,2}') FROM item$$, 'Element 2 of the first vector is NaN.'),
	($$SELECT count('{1,2}' <=> embedding) FROM item$$, 'Element 2 of the second vector is NaN.'),
	($$SELECT count(embedding <-> (SELECT embedding FROM item WHERE id = 2)) FROM item$$, 'Element 2 of the first vector is NaN.'),
	($$SELECT count(embedding <+> '{NaN,2}') FROM item$$, 'Element 1 of the second vector is NaN.')
) AS example (call, detail);
SELECT is((error_of($$SELECT count(embedding <#> '{1,2,3}') FROM item$$)).message, 'different vector dimensions 2 and 3',
	'a prepared second vector of another length');
SELECT is((error_of($$SELECT count('{1,2,3}' <#> embedding) FROM item$$)).message, 'different vector dimensions 3 and 2',
	'a prepared first vector of another length');

-- The arena

SET LOCAL engramk.arena_size = 64;
SET LOCAL engramk.arena_overflow = error;
CREATE TEMPORARY TABLE wide AS SELECT array_agg(i::real) AS v FROM generate_series(1, 10000) i;
SELECT throws_ok('SELECT engram_cosine_batch(v, v) FROM wide', '53400',
	'arena of 64 kB cannot hold 80000 bytes', 'an arena that is too small');
SELECT matches((error_of('SELECT engram_cosine_batch(v, v) FROM wide')).hint, 'engramk\.arena_size', 'its hint names the parameter');
SELECT throws_ok('SELECT engram_topk(v, v, 1) FROM wide', '53400',
	'arena of 64 kB cannot hold 80000 bytes', 'an arena that is too small for top-k');
SELECT is(engram_cosine_batch('{3,4}', '{4,3,0,0}'), '{0.96,0}', 'what fits still works');
SET LOCAL engramk.arena_overflow = fallback;
SELECT is(engram_cosine_batch(v, v), '{1}', 'the same batch with fallback') FROM wide;
SET LOCAL engramk.arena_overflow = error;
SET LOCAL engramk.arena_size = '128kB';
SELECT is(engram_cosine_batch(v, v), '{1}', 'the same batch with a larger arena') FROM wide;

-- Many caught errors leave no trace

DO $$
BEGIN
	FOR i IN 1 .. 1000 LOOP
		BEGIN
			PERFORM engram_cosine_batch('{1,2}', ARRAY[1, 2, i, 'NaN']::real[]);
			RAISE 'no error';
		EXCEPTION WHEN numeric_value_out_of_range THEN NULL;
		END;
	END LOOP;
END $$;
SELECT is(engram_cosine_batch('{3,4}', '{4,3,0,0}'), '{0.96,0}', 'a right answer after 1000 caught errors');

-- NULL in, NULL out

SELECT is(engram_cosine(NULL, '{1}'), NULL, 'NULL and a vector');
SELECT is('{NaN}'::real[] <=> NULL, NULL, 'a bad vector and NULL');
SELECT is(engram_cosine_batch('{1}', NULL), NULL, 'no candidates array');
SELECT is_empty($$SELECT engram_topk('{1}', '{1}', NULL)$$, 'no k');
SELECT is(engram_is_valid(NULL), NULL, 'is nothing valid?');

SELECT * FROM finish();
ROLLBACK;
