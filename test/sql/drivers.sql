-- What drivers send as a vector: with $1::real[] the index serves every type, in
-- plans for one parameter and for all, with the same rows; without it,
-- double precision[] is error 42883.  And what a cast that mends it costs.
CREATE SCHEMA drivers;
SET search_path = drivers, public;

CREATE DOMAIN vector3 AS real[] CHECK (engram_is_valid(VALUE) AND cardinality(VALUE) = 3);
CREATE TABLE item (id bigint PRIMARY KEY, v real[] NOT NULL);
INSERT INTO item SELECT i, ARRAY[sin(i), cos(i), sin(i * 0.7)]::real[] FROM generate_series(1, 3000) AS i;
CREATE TABLE domain_item (id bigint PRIMARY KEY, v vector3 NOT NULL);
INSERT INTO domain_item SELECT * FROM item;
CREATE INDEX item_v ON item USING engramk (v);
CREATE INDEX domain_item_v ON domain_item USING engramk (v);
ANALYZE item, domain_item;

PREPARE of_real (real[]) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_double (double precision[]) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_numeric (numeric[]) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_smallint (smallint[]) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_integer (integer[]) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_bigint (bigint[]) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_text (text) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_varchar (varchar) AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_unknown AS SELECT id FROM item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE of_json_text (text) AS SELECT id FROM item ORDER BY v <=> translate($1, '[]', '{}')::real[] LIMIT 5;
PREPARE of_jsonb (jsonb) AS SELECT id FROM item ORDER BY v <=> ARRAY(SELECT jsonb_array_elements_text($1))::real[] LIMIT 5;
PREPARE of_sub_select (double precision[]) AS SELECT id FROM item ORDER BY v <=> (SELECT $1::real[]) LIMIT 5;
-- implicit, so they work without $1::real[] too
PREPARE plain_numeric (numeric[]) AS SELECT id FROM item ORDER BY v <=> $1 LIMIT 5;
PREPARE plain_smallint (smallint[]) AS SELECT id FROM item ORDER BY v <=> $1 LIMIT 5;
PREPARE plain_unknown AS SELECT id FROM item ORDER BY v <=> $1 LIMIT 5;
-- a column whose type is a domain over real[]
PREPARE domain_double (double precision[]) AS SELECT id FROM domain_item ORDER BY v <=> $1::real[] LIMIT 5;
PREPARE domain_domain (double precision[]) AS SELECT id FROM domain_item ORDER BY v <=> $1::vector3 LIMIT 5;
PREPARE domain_unknown AS SELECT id FROM domain_item ORDER BY v <=> $1 LIMIT 5;
SELECT name, parameter_types FROM pg_prepared_statements WHERE name ~ 'unknown' ORDER BY name;

-- The ids that a statement returns, and whether its plan is a scan of the index.
CREATE FUNCTION answer(name text, parameter text, OUT ids bigint[], OUT by_index boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    one bigint;
BEGIN
    by_index := false;
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) EXECUTE %I(%L)', name, parameter) LOOP
        by_index := by_index OR line ~ 'Index Scan using (domain_)?item_v ';
    END LOOP;
    FOR one IN EXECUTE format('EXECUTE %I(%L)', name, parameter) LOOP
        ids := ids || one;
    END LOOP;
END $$;
-- The same vector for all: 1, 0 and 2.
CREATE FUNCTION answers(pattern text) RETURNS TABLE (name text, by_index boolean, right_rows boolean) LANGUAGE plpgsql AS $$
DECLARE
    truth bigint[];
BEGIN
    SELECT array_agg(s.id) INTO truth
    FROM (SELECT id FROM item ORDER BY engram_cosine_distance(v, '{1,0,2}'), id LIMIT 5) AS s;
    RETURN QUERY SELECT p.name, a.by_index, a.ids = truth
    FROM pg_prepared_statements AS p, answer(p.name, CASE WHEN p.name ~ 'json' THEN '[1, 0, 2]' ELSE '{1,0,2}' END) AS a
    WHERE p.name ~ pattern ORDER BY p.name COLLATE "C";
END $$;
SET plan_cache_mode = force_custom_plan;
SELECT * FROM answers('of|plain|domain');
SET plan_cache_mode = force_generic_plan;
SELECT * FROM answers('of|plain|domain');
EXPLAIN (COSTS OFF) EXECUTE of_double('{1,0,2}');
EXPLAIN (COSTS OFF) EXECUTE domain_double('{1,0,2}');
RESET plan_cache_mode;

-- What people meet who leave the cast out.  docs/clients.md quotes the first.
\set VERBOSITY terse
PREPARE refused (double precision[]) AS SELECT id FROM item ORDER BY v <=> $1 LIMIT 5;
\echo :LAST_ERROR_SQLSTATE
PREPARE refused (double precision[]) AS SELECT id FROM domain_item ORDER BY v <=> $1 LIMIT 5;
\echo :LAST_ERROR_SQLSTATE
PREPARE refused (text) AS SELECT id FROM item ORDER BY v <=> $1 LIMIT 5;
\echo :LAST_ERROR_SQLSTATE
PREPARE refused (double precision[]) AS SELECT engram_normalize($1);
\echo :LAST_ERROR_SQLSTATE
EXECUTE of_text('[1, 0, 2]');
\echo :LAST_ERROR_SQLSTATE
EXECUTE of_double('{1,0,1e-60}');
\echo :LAST_ERROR_SQLSTATE
EXECUTE of_double('{1,0,1e60}');
\echo :LAST_ERROR_SQLSTATE
EXECUTE of_double('{1,0,NaN}');
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE double_item (v double precision[]);
CREATE INDEX ON double_item USING engramk (v);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default

-- A column takes any of them: the cast is an assignment there.
PREPARE add (bigint, double precision[]) AS INSERT INTO domain_item VALUES ($1, $2);
EXECUTE add(4000, '{0.1,0.2,0.3}');
EXECUTE add(4001, '{0.1,0.2}');
EXECUTE add(4001, NULL);
SELECT v FROM domain_item WHERE id >= 4000;

-- The cast of docs/clients.md, and its price: what UNION and the like give of
-- real[] and double precision[], if real[] comes first.
CREATE FUNCTION make_view(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE VIEW %I AS
        SELECT x AS of_union, COALESCE(r, d) AS of_coalesce, CASE WHEN r IS NULL THEN d ELSE r END AS of_case
        FROM (VALUES (NULL::real[], ''{0.1}''::double precision[])) AS v (r, d),
            LATERAL (SELECT r UNION ALL SELECT d) AS u (x) WHERE x IS NOT NULL', name);
END $$;
CREATE FUNCTION price(name text, OUT of_union text, OUT of_coalesce text, OUT of_case text, OUT value double precision)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT pg_typeof(of_union), pg_typeof(of_coalesce), pg_typeof(of_case), of_coalesce[1] FROM %I', name)
        INTO of_union, of_coalesce, of_case, value;
END $$;
SELECT make_view('before');
SELECT * FROM price('before');
CREATE FUNCTION to_real(double precision[]) RETURNS real[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN $1::real[];
CREATE CAST (double precision[] AS real[]) WITH FUNCTION to_real(double precision[]) AS IMPLICIT;
SELECT make_view('beside');
SELECT * FROM price('beside');
-- A view keeps what it was made with, until a restore makes it again.
SELECT * FROM price('before');
DO $$ BEGIN EXECUTE 'CREATE VIEW restored AS ' || pg_get_viewdef('before'); END $$;
SELECT * FROM price('restored');
SELECT pg_typeof(x) AS double_first FROM (SELECT '{0.1}'::double precision[] UNION ALL SELECT '{1}'::real[]) AS u (x) LIMIT 1;
-- What it gives.
PREPARE plain_double (double precision[]) AS SELECT id FROM item ORDER BY v <=> $1 LIMIT 5;
SET plan_cache_mode = force_custom_plan;
SELECT * FROM answers('plain_double');
SET plan_cache_mode = force_generic_plan;
SELECT * FROM answers('plain_double');
RESET plan_cache_mode;
-- Gone again, everything is as before.  The function stays for as long as a view
-- needs it.
DEALLOCATE plain_double;
DROP CAST (double precision[] AS real[]);
\set VERBOSITY terse
DROP FUNCTION to_real(double precision[]);
\set VERBOSITY default
DROP VIEW beside, restored;
DROP FUNCTION to_real(double precision[]);
SELECT make_view('after');
SELECT * FROM price('after');

DEALLOCATE ALL;
SET client_min_messages = warning;
DROP SCHEMA drivers CASCADE;
