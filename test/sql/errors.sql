-- Bad input gets the documented error, whichever way it comes in, and the
-- session goes on giving right answers.
CREATE SCHEMA errors;
SET search_path = errors, public;

-- The outcome of a statement: what it returned, or all there is to know of its
-- error.
CREATE FUNCTION outcome(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement INTO result;
    RETURN 'returned ' || coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;

-- Pairs with the outcome they should have, in both orders.
CREATE TABLE bad (n int PRIMARY KEY, name text, a real[], b real[]);
INSERT INTO bad VALUES
    (1, 'different lengths', '{1,2,3}', '{1,2,3,4}'),
    (2, 'different lengths, one not finite', '{NaN,2}', '{1,2,3}'),
    (3, 'empty', '{}', '{1}'),
    (4, 'both empty', '{}', '{}'),
    (5, 'two-dimensional', '{{1,2}}', '{1,2}'),
    (6, 'two-dimensional and not finite', '{{1,2},{3,4}}', '{1,NaN}'),
    (7, 'six-dimensional', '{{{{{{1}}}}}}', '{1}'),
    (8, 'null element', '{1,NULL,3}', '{1,2,3}'),
    (9, 'only nulls', '{NULL}', '{1}'),
    (10, 'null element beyond a byte of the bitmap', '{1,2,3,4,5,6,7,8,NULL}', '{1,2,3,4,5,6,7,8,9}'),
    (11, 'NaN', '{1,NaN,3}', '{1,2,3}'),
    (12, 'infinity', '{1,2,Infinity}', '{1,2,3}'),
    (13, 'minus infinity', '{-Infinity,2,3}', '{1,2,3}'),
    (14, 'infinity beside the zero vector', '{0,Infinity}', '{0,0}'),
    (15, 'NaN beside the zero vector', '{0,NaN}', '{0,0}'),
    (16, 'infinity in both, which would cancel', '{Infinity,1}', '{Infinity,1}'),
    (17, 'infinities of both signs', '{Infinity,-Infinity}', '{1,1}'),
    (18, 'the first of two', '{1,2,3,NaN}', '{NaN,2,3,4}'),
    (19, 'after lower bounds', '[-5:-3]={1,NaN,3}', '{1,2,3}'),
    (20, 'NaN in the tail', array_fill(1::real, ARRAY[37]) || 'NaN'::real, array_fill(1::real, ARRAY[38])),
    (21, 'infinity in the body', array_fill(1::real, ARRAY[20]) || 'Infinity'::real || array_fill(1::real, ARRAY[100]), array_fill(0::real, ARRAY[121]));

-- The same pair by every path of every operation.  A statement is planned
-- either with constants or with columns; a query that is asked twice is
-- prepared where it can be, so each path asks for the bad pair after good ones.
CREATE TABLE good (dims int PRIMARY KEY, v real[]);
INSERT INTO good SELECT dims, array_fill(2::real, ARRAY[dims]) FROM generate_series(1, 121) AS dims;

CREATE FUNCTION call_with_parameters(operation text, a real[], b real[]) RETURNS float8
LANGUAGE plpgsql AS $$
BEGIN
    CASE operation
        WHEN 'engram_cosine' THEN RETURN engram_cosine(a, b);
        WHEN 'engram_cosine_distance' THEN RETURN a <=> b;
        WHEN 'engram_inner_product' THEN RETURN engram_inner_product(a, b);
        WHEN 'engram_negative_inner_product' THEN RETURN a <#> b;
        WHEN 'engram_l2_distance' THEN RETURN a <-> b;
        WHEN 'engram_l1_distance' THEN RETURN a <+> b;
    END CASE;
END $$;

CREATE VIEW path AS
SELECT n, name, operation, bad.a, bad.b, form, statement
FROM bad,
     unnest(ARRAY['engram_cosine', 'engram_cosine_distance', 'engram_inner_product',
                  'engram_negative_inner_product', 'engram_l2_distance', 'engram_l1_distance']) AS operation,
     LATERAL (VALUES
        ('constants', format('SELECT %s(%L::real[], %L::real[])', operation, a, b)),
        ('columns', format('SELECT %s(a, b) FROM bad WHERE n = %s', operation, n)),
        ('constant first', format('SELECT max(%1$s(%2$L::real[], x)) FROM '
                                  '(SELECT v AS x FROM good WHERE dims = array_length(%2$L::real[], 1) '
                                  'UNION ALL SELECT b FROM bad WHERE n = %3$s) AS e', operation, a, n)),
        ('constant second', format('SELECT max(%1$s(x, %2$L::real[])) FROM '
                                   '(SELECT v AS x FROM good WHERE dims = array_length(%2$L::real[], 1) '
                                   'UNION ALL SELECT a FROM bad WHERE n = %3$s) AS e', operation, b, n)),
        ('sub-select first', format('SELECT max(%1$s((SELECT a FROM bad WHERE n = %3$s), x)) FROM '
                                    '(SELECT v AS x FROM good WHERE dims = array_length(%2$L::real[], 1) '
                                    'UNION ALL SELECT v FROM good WHERE dims = array_length(%2$L::real[], 1) '
                                    'UNION ALL SELECT b FROM bad WHERE n = %3$s) AS e', operation, a, n)),
        ('sub-select second', format('SELECT max(%1$s(x, (SELECT b FROM bad WHERE n = %3$s))) FROM '
                                     '(SELECT v AS x FROM good WHERE dims = array_length(%2$L::real[], 1) '
                                     'UNION ALL SELECT v FROM good WHERE dims = array_length(%2$L::real[], 1) '
                                     'UNION ALL SELECT a FROM bad WHERE n = %3$s) AS e', operation, b, n)),
        ('PL/pgSQL', format('SELECT call_with_parameters(%L, a, b) FROM bad WHERE n = %s', operation, n)))
     AS f(form, statement);

-- One outcome a pair, the same by every operation and path.  Where both
-- vectors are bad or the good one is no partner for the other, the paths may
-- meet another bad vector first; those of one statement and one row may not.
CREATE TABLE outcomes AS SELECT path.*, outcome(statement) AS outcome FROM path;
SELECT n, name, outcome, count(*) AS times, count(DISTINCT operation) AS operations
FROM outcomes WHERE form IN ('constants', 'columns', 'PL/pgSQL')
GROUP BY n, name, outcome ORDER BY n, outcome COLLATE "C";
SELECT n, name, outcome, count(*) AS times, count(DISTINCT operation) AS operations
FROM outcomes WHERE form NOT IN ('constants', 'columns', 'PL/pgSQL')
GROUP BY n, name, outcome ORDER BY n, outcome COLLATE "C";

-- The other way round.
UPDATE bad SET a = b, b = a;
CREATE TABLE reversed AS SELECT path.*, outcome(statement) AS outcome FROM path;
SELECT n, name, outcome, count(*) AS times, count(DISTINCT operation) AS operations
FROM reversed WHERE form IN ('constants', 'columns', 'PL/pgSQL')
GROUP BY n, name, outcome ORDER BY n, outcome COLLATE "C";
SELECT count(*) AS not_an_error FROM (TABLE outcomes UNION ALL TABLE reversed) AS e WHERE outcome LIKE 'returned%';

-- One vector.
SELECT argument, outcome(format('SELECT engram_norm(%L)', argument)) AS norm,
       outcome(format('SELECT engram_norm(%L)', argument)) = outcome(format('SELECT engram_normalize(%L)', argument)) AS normalize_same,
       outcome(format('SELECT engram_is_valid(%L)', argument)) AS is_valid
FROM unnest(ARRAY['{}', '{{1,2}}', '{{NULL}}', '{1,NULL}', '{1,NaN}', '{Infinity}', '{0,0,-Infinity}', '[3:4]={NaN,1}']) AS argument;

-- Batch and top-k: the query, the candidates, k.
CREATE FUNCTION batch_outcome(query real[], candidates real[]) RETURNS text
LANGUAGE sql AS $$
    SELECT CASE batch WHEN topk THEN batch ELSE batch || ' but top-k: ' || topk END
    FROM (SELECT outcome(format('SELECT engram_cosine_batch(%L, %L)', query, candidates)),
                 outcome(format('SELECT array_agg(similarity ORDER BY ordinal) FROM engram_topk(%L, %L, 100)', query, candidates)))
         AS o(batch, topk)
$$;
SELECT n, query, candidates, batch_outcome(query, candidates)
FROM (VALUES
    (1, '{}'::real[], '{1,2}'::real[]),
    (2, '{{1,2}}', '{1,2}'),
    (3, '{1,NULL}', '{1,2}'),
    (4, '{1,NaN}', '{1,2}'),
    (5, '{1,Infinity}', '{{0,0}}'),
    (6, '{1,-Infinity}', '{}'),
    (7, '{1,2}', '{1,2,3}'),
    (8, '{1,2}', '{1}'),
    (9, '{1,2}', '{{1,2,3},{4,5,6}}'),
    (10, '{1,2,3}', '{{1},{2},{3}}'),
    (11, '{1}', '{{{1}}}'),
    (12, '{1,2}', '{1,2,NULL,4}'),
    (13, '{1,2}', '{{1,2},{3,NULL}}'),
    (14, '{1,2}', '{{1,1},{2,2},{3,3},{4,4},{5,NaN},{6,NaN}}'),
    (15, '{1,2}', '{1,1,2,2,3,3,4,4,5,Infinity}'),
    (16, '{0,0}', '{1,1,-Infinity,2}'),
    (17, '{1,2}', '[5:8]={1,1,NaN,1}')) AS c(n, query, candidates)
ORDER BY n;

-- In the second block of candidates, and in the last row of the first.
SELECT outcome($$SELECT engram_cosine_batch('{1,2}', array_fill(1::real, ARRAY[599]) || 'NaN'::real || array_fill(1::real, ARRAY[400]))$$) AS candidate_300,
       outcome($$SELECT engram_cosine_batch('{1,2}', array_fill(1::real, ARRAY[510]) || 'NaN'::real || array_fill(1::real, ARRAY[489]))$$) AS candidate_256,
       outcome($$SELECT engram_cosine_batch('{1,2}', array_fill(1::real, ARRAY[512]) || 'NaN'::real || array_fill(1::real, ARRAY[487]))$$) AS candidate_257;

SELECT k, outcome(format('SELECT count(*) FROM engram_topk(''{1}'', ''{1,2,3}'', %s)', k)) AS topk
FROM unnest(ARRAY[0, -1, -2147483648, 1, 2147483647]) AS k;
-- k is looked at even where there are no candidates.
SELECT outcome('SELECT count(*) FROM engram_topk(''{1}'', ''{}'', 0)') AS without_candidates;

-- The session lives: after 1,800 errors the same call sites answer.
CREATE FUNCTION alternate(times int) RETURNS TABLE (right_answers int, errors int)
LANGUAGE plpgsql AS $$
DECLARE
    q real[];
    d float8;
BEGIN
    right_answers := 0;
    errors := 0;
    FOR i IN 1 .. times LOOP
        q := CASE i % 5 WHEN 0 THEN '{1,NULL}'::real[] WHEN 1 THEN ARRAY[i, 0] WHEN 2 THEN '{1,NaN}'
                        WHEN 3 THEN '{1,2,3}' ELSE ARRAY[0, i] END;
        BEGIN
            d := q <-> '{0,0}'::real[];
            IF d = i THEN right_answers := right_answers + 1; END IF;
        EXCEPTION WHEN data_exception OR null_value_not_allowed OR numeric_value_out_of_range THEN
            errors := errors + 1;
        END;
    END LOOP;
    RETURN NEXT;
END $$;
SELECT * FROM alternate(3000);
SELECT engram_cosine_batch('{1,0}', '{1,0,0,1}') AS batch_works, '{1,2}'::real[] <+> '{0,0}' AS operator_works;

-- As psql and an application see it.
SELECT '{1,2,3}'::real[] <=> '{1,2,3,4}';
SELECT engram_norm('{}');
SELECT engram_norm('{{1}}');
SELECT engram_norm('{NULL}');
SELECT engram_cosine('{0}', '{Infinity}');
SELECT engram_topk('{1}', '{1}', 0);

SET client_min_messages = warning;
DROP SCHEMA errors CASCADE;
