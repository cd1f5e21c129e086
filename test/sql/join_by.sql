-- engram_knn_join with a key: the rows and the bits of LATERAL with an equality, for
-- keys of many kinds, in whatever order they come and however many fit the budget.
SET extra_float_digits = 1;

CREATE TABLE keyed AS
    SELECT i AS id, (i * 7919 % 12)::integer AS tenant, 'lang ' || (i % 3) AS language, NULLIF(i % 50, 7) AS part,
        md5((i % 20)::text)::uuid AS owner, repeat(md5((i % 4)::text), 100) AS long, (i % 6)::numeric / 2 AS amount,
        CASE WHEN i % 97 > 0 THEN (SELECT array_agg((sin(i * 12.9898 + j * 78.233) + (i % 13 = j % 13)::integer)::real ORDER BY j)
                                   FROM generate_series(1, 35) AS j) END AS v
    FROM generate_series(1, 700) AS i;
-- one tenant has most of the rows, and one has a single row
UPDATE keyed SET tenant = 100 WHERE id BETWEEN 200 AND 500;
UPDATE keyed SET tenant = 200 WHERE id = 650;
ANALYZE keyed;

CREATE FUNCTION join_by_differences(column_name text, metric text, operator text, k integer, max_distance float8 DEFAULT 'Infinity',
                            sorted text DEFAULT '') RETURNS TABLE (rows bigint, different bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($query$
        WITH mine AS MATERIALIZED (
            SELECT query_id, target_id, rank, distance
            FROM engram_knn_join('SELECT id, v, %1$s FROM keyed WHERE id %% 5 < 3 %6$s', 'SELECT id, v, %1$s FROM keyed %6$s',
                                 k => %4$s, join_by => %1$L, metric => %2$L, max_distance => %5$L, exclude_self => true)),
        theirs AS (
            SELECT q.id::bigint AS query_id, t.id::bigint AS target_id,
                row_number() OVER (PARTITION BY q.id ORDER BY t.distance, t.id)::integer AS rank, t.distance
            FROM keyed AS q CROSS JOIN LATERAL (
                SELECT j.id, j.v %3$s q.v AS distance FROM keyed AS j
                WHERE j.%1$s = q.%1$s AND j.v IS NOT NULL AND j.id <> q.id AND j.v %3$s q.v <= %5$L
                ORDER BY 2, 1 LIMIT %4$s) AS t
            WHERE q.v IS NOT NULL AND q.id %% 5 < 3)
        SELECT (SELECT count(*) FROM mine), count(*) FROM (
            (TABLE mine EXCEPT ALL TABLE theirs) UNION ALL (TABLE theirs EXCEPT ALL TABLE mine)) AS d
        $query$, column_name, metric, operator, k, max_distance, sorted);
END $$;
CREATE TEMPORARY TABLE metric (metric text, operator text);
INSERT INTO metric VALUES ('cosine', '<=>'), ('inner_product', '<#>'), ('l2', '<->'), ('l1', '<+>');
CREATE TEMPORARY TABLE key (name text);
INSERT INTO key VALUES ('tenant'), ('language'), ('part'), ('owner'), ('long'), ('amount');

SELECT name, metric, d.* FROM key, metric, join_by_differences(name, metric, operator, 4) AS d ORDER BY 1, 2;
SELECT name, d.* FROM key, join_by_differences(name, 'cosine', '<=>', 1000, 0.7) AS d ORDER BY 1;
SELECT name, d.* FROM key, join_by_differences(name, 'l2', '<->', 3, sorted => 'ORDER BY ' || name) AS d ORDER BY 1;
SET engramk.simd = off;
SELECT name, d.* FROM key, join_by_differences(name, 'cosine', '<=>', 3) AS d ORDER BY 1;
RESET engramk.simd;

-- many blocks, which divide a key
SET engramk.arena_size = '64kB';
SELECT name, d.* FROM key, join_by_differences(name, 'inner_product', '<#>', 4) AS d ORDER BY 1;
SELECT name, d.* FROM key, join_by_differences(name, 'cosine', '<=>', 4, sorted => 'ORDER BY ' || name) AS d ORDER BY 1;
-- within a distance a query has room for fewer than k, and takes what it needs
SELECT d.* FROM join_by_differences('language', 'cosine', '<=>', 2147483647, 0.9) AS d;
SET engramk.arena_overflow = error;
SELECT d.* FROM join_by_differences('language', 'cosine', '<=>', 500, 0.9) AS d;
RESET engramk.arena_overflow;
RESET engramk.arena_size;

-- rows come in the order of the queries, whatever their keys
SELECT * FROM engram_knn_join($$VALUES (5, '{1,0}'::real[], 'b'::text), (4, '{1,0}', 'a'), (3, '{1,0}', 'b'), (2, '{1,0}', 'c'), (1, '{1,0}', NULL)$$,
                              $$VALUES (1, '{2,0}'::real[], 'a'::text), (2, '{0,2}', 'b'), (3, '{1,1}', 'b'), (4, '{1,1}', NULL)$$, 1, join_by => 'column3');
-- several keys are one row
SELECT count(*), bool_and(q.tenant = t.tenant AND q.language = t.language) AS equal
FROM engram_knn_join('SELECT id, v, (tenant, language) AS both_keys FROM keyed', 'SELECT id, v, (tenant, language) AS both_keys FROM keyed',
                     2, join_by => 'both_keys') AS n, keyed AS q, keyed AS t WHERE q.id = query_id AND t.id = target_id;
-- what nobody is compared with is not looked at
SELECT * FROM engram_knn_join($$VALUES (1, '{1,0}'::real[], 7)$$,
                              $$VALUES (1, '{2,0}'::real[], 7), (2, '{NaN,2}', 8), (3, '{1}', 9)$$, 5, join_by => 'column3');
-- nobody has the key
SELECT count(*) FROM engram_knn_join('SELECT id, v, tenant FROM keyed WHERE tenant = 200', 'SELECT id, v, tenant FROM keyed WHERE tenant <> 200', 5, join_by => 'tenant');
SELECT count(*) FROM engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v, tenant FROM keyed', 5, join_by => NULL);
-- the fourth argument is a metric, as it has been, unless it is a name or a number
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM keyed WHERE id < 10', 'SELECT id, v FROM keyed', 3, 'l2');
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM keyed WHERE id < 10', 'SELECT id, v FROM keyed', '3', 'l2', 'true');
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM keyed WHERE id < 10', 'SELECT id, v FROM keyed', 3, 'l2'::varchar, true);
SELECT count(*) FROM engram_knn_join('SELECT id, v FROM keyed WHERE id < 10', 'SELECT id, v FROM keyed', 3, 0.5);
SELECT count(*) FROM engram_knn_join('SELECT id, v, tenant FROM keyed WHERE id < 10', 'SELECT id, v, tenant FROM keyed', 3, 'tenant'::name);

-- errors
SELECT engram_knn_join('SELECT id, v FROM keyed', 'SELECT id, v, tenant FROM keyed', 3, join_by => 'tenant');
SELECT engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v FROM keyed', 3, join_by => 'tenant');
SELECT engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v, tenant AS t FROM keyed', 3, join_by => 'tenant');
SELECT engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v, tenant FROM keyed', 3);
SELECT engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v, tenant::bigint FROM keyed', 3, join_by => 'tenant');
SELECT engram_knn_join('SELECT id, v, language FROM keyed', 'SELECT id, v, language COLLATE "C" FROM keyed', 3, join_by => 'language');
SELECT engram_knn_join('SELECT id, v, point(1, 2) AS place FROM keyed', 'SELECT id, v, point(1, 2) AS place FROM keyed', 3, join_by => 'place');
SELECT engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v, tenant FROM keyed', 3, join_by => 'tenant', max_distance => 'NaN');
SELECT engram_knn_join('SELECT id, v, tenant FROM keyed', 'SELECT id, v, tenant FROM keyed', 0, join_by => 'tenant');

DROP FUNCTION join_by_differences;
DROP TABLE keyed;
