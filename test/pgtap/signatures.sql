-- The SQL surface of engramk, version by version: what is there, how it is
-- declared, and that nothing else is.  A change here is a change of the
-- interface; a new version adds lines with its number.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION engramk;

CREATE TEMPORARY TABLE expected_function (
	name text, arguments text, result text,
	volatility "char", parallel "char", returns_set boolean,
	PRIMARY KEY (name, arguments));
INSERT INTO expected_function VALUES
	('engram_arena_stats', 'OUT capacity bigint, OUT resets bigint, OUT overflows bigint, OUT overflow_bytes bigint, OUT high_water bigint', 'record', 'v', 'r', false),
	('engram_ball', 'center real[], radius double precision', 'engram_ball', 'i', 's', false),
	('engram_cosine', 'a real[], b real[]', 'double precision', 'i', 's', false),
	('engram_cosine_batch', 'query real[], candidates real[]', 'double precision[]', 'i', 's', false),
	('engram_cosine_matrix', 'queries real[], candidates real[]', 'double precision[]', 'i', 's', false),
	('engram_cosine_distance', 'a real[], b real[]', 'double precision', 'i', 's', false),
	('engram_cosine_in_ball', 'real[], engram_ball', 'boolean', 'i', 's', false),
	('engram_cosine_within', 'a real[], b real[], radius double precision', 'boolean', 'i', 's', false),
	('engram_cosine_within_support', 'internal', 'internal', 'i', 's', false),
	('engram_filter_number', 'bigint', 'bigint', 'i', 's', false),
	('engram_filter_number', 'boolean', 'bigint', 'i', 's', false),
	('engram_filter_number', 'date', 'bigint', 'i', 's', false),
	('engram_filter_number', 'integer', 'bigint', 'i', 's', false),
	('engram_filter_number', 'smallint', 'bigint', 'i', 's', false),
	('engram_filter_number', 'timestamp with time zone', 'bigint', 'i', 's', false),
	('engram_filter_number', 'timestamp without time zone', 'bigint', 'i', 's', false),
	('engram_index_check', 'index regclass', 'bigint', 'v', 'r', false),
	('engram_index_info', 'index regclass, OUT dimensions integer, OUT vectors bigint, OUT dead bigint, OUT bytes_per_vector double precision, OUT basis integer, OUT coarse_bits integer, OUT sampled integer, OUT pages bigint, OUT format integer, OUT coarse_bytes double precision, OUT fine_bytes double precision, OUT widths integer[], OUT survivors_expected bigint, OUT survivors double precision, OUT basis_vectors bigint, OUT recoding boolean, OUT slow_because text[]', 'record', 'v', 'r', false),
	('engram_index_slow_because', 'index regclass', 'text[]', 'v', 'r', false),
	('engram_inner_product', 'a real[], b real[]', 'double precision', 'i', 's', false),
	('engram_inner_product_in_ball', 'real[], engram_ball', 'boolean', 'i', 's', false),
	('engram_inner_product_within', 'a real[], b real[], radius double precision', 'boolean', 'i', 's', false),
	('engram_inner_product_within_support', 'internal', 'internal', 'i', 's', false),
	('engram_is_valid', 'a real[]', 'boolean', 'i', 's', false),
	('engram_knn_join', 'queries text, targets text, k integer, metric text DEFAULT ''cosine''::text, exclude_self boolean DEFAULT false', 'TABLE(query_id bigint, target_id bigint, rank integer, distance double precision)', 's', 'u', true),
	('engram_knn_join', 'queries text, targets text, k integer, max_distance double precision, exclude_self boolean DEFAULT false, metric text DEFAULT ''cosine''::text', 'TABLE(query_id bigint, target_id bigint, rank integer, distance double precision)', 's', 'u', true),
	('engram_knn_join', 'queries text, targets text, k integer, join_by name, exclude_self boolean DEFAULT false, metric text DEFAULT ''cosine''::text, max_distance double precision DEFAULT ''Infinity''::double precision', 'TABLE(query_id bigint, target_id bigint, rank integer, distance double precision)', 's', 'u', true),
	('engram_l1_distance', 'a real[], b real[]', 'double precision', 'i', 's', false),
	('engram_l2_distance', 'a real[], b real[]', 'double precision', 'i', 's', false),
	('engram_l2_in_ball', 'real[], engram_ball', 'boolean', 'i', 's', false),
	('engram_l2_within', 'a real[], b real[], radius double precision', 'boolean', 'i', 's', false),
	('engram_l2_within_support', 'internal', 'internal', 'i', 's', false),
	('engram_negative_inner_product', 'a real[], b real[]', 'double precision', 'i', 's', false),
	('engram_norm', 'a real[]', 'double precision', 'i', 's', false),
	('engram_normalize', 'a real[]', 'real[]', 'i', 's', false),
	('engram_require_format', 'format integer', 'void', 'v', 'u', false),
	('engram_simd_info', '', 'TABLE(level text, compiled boolean, supported boolean, active boolean)', 'v', 'r', true),
	('engram_stat_get_arena', 'OUT resets bigint, OUT overflows bigint, OUT overflow_bytes bigint, OUT high_water bigint, OUT overflow_rate double precision', 'record', 'v', 'r', false),
	('engram_stat_get_backends', '', 'TABLE(pid integer, level text, version text)', 'v', 'r', true),
	('engram_stat_get_errors', '', 'TABLE(kind text, errors bigint)', 'v', 'r', true),
	('engram_stat_get_filter', 'index oid, OUT filter_codes bigint, OUT passed bigint', 'record', 'v', 'r', false),
	('engram_stat_get_index', 'index oid, OUT scans bigint, OUT passes bigint, OUT coarse_codes bigint, OUT fine_codes bigint, OUT reranked bigint', 'record', 'v', 'r', false),
	('engram_stat_get_info', 'OUT scope text, OUT stats_reset timestamp with time zone', 'record', 'v', 'r', false),
	('engram_stat_get_kernels', '', 'TABLE(operation text, level text, calls bigint, candidates bigint, elements bigint, seconds double precision, timed_elements bigint, slowest double precision)', 'v', 'r', true),
	('engram_stat_get_verify', 'OUT checked bigint, OUT divergences bigint, OUT withdrawn bigint', 'record', 'v', 'r', false),
	('engram_stat_reset', '', 'void', 'v', 'r', false),
	('engram_topk', 'query real[], candidates real[], k integer', 'TABLE(ordinal integer, similarity double precision)', 'i', 's', true),
	('engramk_handler', 'internal', 'index_am_handler', 'v', 'u', false);

CREATE TEMPORARY TABLE expected_operator (name text PRIMARY KEY, function text);
INSERT INTO expected_operator VALUES
	('<#>', 'engram_negative_inner_product'),
	('<+>', 'engram_l1_distance'),
	('<->', 'engram_l2_distance'),
	('<=>', 'engram_cosine_distance');

CREATE TEMPORARY TABLE expected_view (name text PRIMARY KEY, columns text);
INSERT INTO expected_view VALUES
	('engram_slow_indexes', 'indexrelid oid, schemaname name, relname name, indexrelname name, slow_because text[]'),
	('engram_stat_arena', 'resets bigint, overflows bigint, overflow_bytes bigint, high_water bigint, overflow_rate double precision'),
	('engram_stat_backends', 'pid integer, datname name, usename name, state text, level text, version text'),
	('engram_stat_errors', 'kind text, errors bigint'),
	('engram_stat_filters', 'indexrelid oid, schemaname name, relname name, indexrelname name, filter_codes bigint, passed bigint'),
	('engram_stat_indexes', 'indexrelid oid, schemaname name, relname name, indexrelname name, scans bigint, passes bigint, coarse_codes bigint, fine_codes bigint, reranked bigint'),
	('engram_stat_info', 'scope text, stats_reset timestamp with time zone'),
	('engram_stat_kernels', 'operation text, level text, calls bigint, candidates bigint, elements bigint, seconds double precision, timed_elements bigint, slowest double precision'),
	('engram_stat_verify', 'checked bigint, divergences bigint, withdrawn bigint');

-- With the version that brought each; none has been taken away since, though one has got
-- other columns, twice.
CREATE TEMPORARY TABLE expected_member (since text, object text);
INSERT INTO expected_member VALUES
	('1.0', 'function engram_arena_stats()'),
	('1.0', 'function engram_cosine(real[],real[])'),
	('1.0', 'function engram_cosine_batch(real[],real[])'),
	('1.0', 'function engram_cosine_distance(real[],real[])'),
	('1.0', 'function engram_inner_product(real[],real[])'),
	('1.0', 'function engram_is_valid(real[])'),
	('1.0', 'function engram_l1_distance(real[],real[])'),
	('1.0', 'function engram_l2_distance(real[],real[])'),
	('1.0', 'function engram_negative_inner_product(real[],real[])'),
	('1.0', 'function engram_norm(real[])'),
	('1.0', 'function engram_normalize(real[])'),
	('1.0', 'function engram_simd_info()'),
	('1.0', 'function engram_topk(real[],real[],integer)'),
	('1.0', 'operator <#>(real[],real[])'),
	('1.0', 'operator <+>(real[],real[])'),
	('1.0', 'operator <->(real[],real[])'),
	('1.0', 'operator <=>(real[],real[])'),
	('1.1', 'function engram_stat_get_arena()'),
	('1.1', 'function engram_stat_get_backends()'),
	('1.1', 'function engram_stat_get_errors()'),
	('1.1', 'function engram_stat_get_info()'),
	('1.1', 'function engram_stat_get_kernels()'),
	('1.1', 'function engram_stat_get_verify()'),
	('1.1', 'function engram_stat_reset()'),
	('1.1', 'view engram_stat_arena'),
	('1.1', 'view engram_stat_backends'),
	('1.1', 'view engram_stat_errors'),
	('1.1', 'view engram_stat_info'),
	('1.1', 'view engram_stat_kernels'),
	('1.1', 'view engram_stat_verify'),
	('1.2', 'access method engramk'),
	('1.2', 'function engram_index_check(regclass)'),
	('1.2', 'function engram_index_info(regclass)'),
	('1.2', 'function engram_stat_get_index(oid)'),
	('1.2', 'function engramk_handler(internal)'),
	('1.2', 'operator class engram_ops for access method engramk'),
	('1.2', 'operator family engram_ops for access method engramk'),
	('1.2', 'view engram_stat_indexes'),
	('1.3', 'function engram_avg(real[])'),
	('1.3', 'function engram_avg_result(internal)'),
	('1.3', 'function engram_cosine_matrix(real[],real[])'),
	('1.3', 'function engram_knn_join(text,text,integer,text,boolean)'),
	('1.3', 'function engram_nearest(bigint,real[],real[],integer)'),
	('1.3', 'function engram_nearest(bigint,real[],real[],integer,text)'),
	('1.3', 'function engram_nearest(uuid,real[],real[],integer)'),
	('1.3', 'function engram_nearest(uuid,real[],real[],integer,text)'),
	('1.3', 'function engram_nearest_add(internal,bigint,real[],real[],integer)'),
	('1.3', 'function engram_nearest_add(internal,bigint,real[],real[],integer,text)'),
	('1.3', 'function engram_nearest_add(internal,uuid,real[],real[],integer)'),
	('1.3', 'function engram_nearest_add(internal,uuid,real[],real[],integer,text)'),
	('1.3', 'function engram_nearest_combine(internal,internal)'),
	('1.3', 'function engram_nearest_deserialize(bytea,internal)'),
	('1.3', 'function engram_nearest_result(internal)'),
	('1.3', 'function engram_nearest_serialize(internal)'),
	('1.3', 'function engram_nearest_uuid_result(internal)'),
	('1.3', 'function engram_sum(real[])'),
	('1.3', 'function engram_sum_add(internal,real[])'),
	('1.3', 'function engram_sum_combine(internal,internal)'),
	('1.3', 'function engram_sum_deserialize(bytea,internal)'),
	('1.3', 'function engram_sum_result(internal)'),
	('1.3', 'function engram_sum_serialize(internal)'),
	('1.3', 'type engram_match'),
	('1.3', 'type engram_uuid_match'),
	('1.5', 'function engram_require_format(integer)'),
	('1.6', 'function engram_index_slow_because(regclass)'),
	('1.6', 'view engram_slow_indexes'),
	('1.7', 'function engram_ball(real[],double precision)'),
	('1.7', 'function engram_cosine_in_ball(real[],engram_ball)'),
	('1.7', 'function engram_cosine_within(real[],real[],double precision)'),
	('1.7', 'function engram_cosine_within_support(internal)'),
	('1.7', 'function engram_filter_number(bigint)'),
	('1.7', 'function engram_filter_number(boolean)'),
	('1.7', 'function engram_filter_number(date)'),
	('1.7', 'function engram_filter_number(integer)'),
	('1.7', 'function engram_filter_number(smallint)'),
	('1.7', 'function engram_filter_number(timestamp with time zone)'),
	('1.7', 'function engram_filter_number(timestamp without time zone)'),
	('1.7', 'function engram_inner_product_in_ball(real[],engram_ball)'),
	('1.7', 'function engram_inner_product_within(real[],real[],double precision)'),
	('1.7', 'function engram_inner_product_within_support(internal)'),
	('1.7', 'function engram_knn_join(text,text,integer,double precision,boolean,text)'),
	('1.7', 'function engram_knn_join(text,text,integer,name,boolean,text,double precision)'),
	('1.7', 'function engram_stat_get_filter(oid)'),
	('1.7', 'view engram_stat_filters'),
	('1.7', 'function engram_l2_in_ball(real[],engram_ball)'),
	('1.7', 'function engram_l2_within(real[],real[],double precision)'),
	('1.7', 'function engram_l2_within_support(internal)'),
	('1.7', 'operator <#>@(real[],engram_ball)'),
	('1.7', 'operator <->@(real[],engram_ball)'),
	('1.7', 'operator <=>@(real[],engram_ball)'),
	('1.7', 'type engram_ball'),
	('1.9', 'function engram_fan_out(name[],text,text[],integer,boolean)'),
	('1.9', 'function engram_knn_join_create(text,text,text,integer,integer,boolean,text,double precision,name)'),
	('1.9', 'function engram_knn_join_progress(text)'),
	('1.9', 'function engram_knn_join_run(text)'),
	('1.9', 'function engram_nearest_merge(engram_match[],integer)'),
	('1.9', 'function engram_nearest_merge(engram_uuid_match[],integer)'),
	('1.9', 'function engram_nearest_merge_add(internal,engram_match[],integer)'),
	('1.9', 'function engram_nearest_merge_add(internal,engram_uuid_match[],integer)'),
	('1.9', 'function engram_nearest_merge_combine(internal,internal)'),
	('1.9', 'function engram_nearest_merge_deserialize(bytea,internal)'),
	('1.9', 'function engram_nearest_merge_result(internal)'),
	('1.9', 'function engram_nearest_merge_serialize(internal)'),
	('1.9', 'function engram_nearest_merge_uuid_result(internal)'),
	('1.9', 'function engram_uuid_fan_out(name[],text,text[],integer,boolean)');
INSERT INTO expected_member
	SELECT '1.7', format('operator class engram_%s_filter for access method engramk', of)
	FROM unnest('{bool,bpchar,date,enum,int2,int4,int8,numeric,oid,text,timestamp,timestamptz,uuid}'::text[]) AS of;
INSERT INTO expected_member
	SELECT '1.7', format('operator family engram_%s_filter for access method engramk', of)
	FROM unnest('{bool,bpchar,date,enum,integer,numeric,oid,text,timestamp,timestamptz,uuid}'::text[]) AS of;

CREATE TEMPORARY TABLE expected_pgvector_member AS
	SELECT replace(replace(object, '?', vector), '$', of) AS object
	FROM unnest(ARRAY['vector', 'halfvec']) vector, unnest(ARRAY['cosine', 'inner_product', 'l2']) of, unnest(ARRAY[
		'function engram_$_in_ball(?,engram_?_ball)',
		'function engram_$_within(?,?,double precision)']) object
	UNION ALL
	SELECT replace(replace(object, '?', vector), '$', of)
	FROM unnest(ARRAY['vector', 'halfvec']) vector, unnest(ARRAY['bigint', 'uuid']) of, unnest(ARRAY[
		'function engram_nearest($,?,?[],integer)',
		'function engram_nearest($,?,?[],integer,text)',
		'function engram_nearest_add(internal,$,?,?[],integer)',
		'function engram_nearest_add(internal,$,?,?[],integer,text)']) object
	UNION ALL
	SELECT replace(replace(object, '?', vector), '$', of)
	FROM unnest(ARRAY['vector', 'halfvec']) vector, unnest(ARRAY['cosine', 'ip', 'l2']) of, unnest(ARRAY[
		'operator class ?_$_ops for access method engramk',
		'operator family ?_$_ops for access method engramk']) object
	UNION ALL
	SELECT replace(object, '?', vector)
	FROM unnest(ARRAY['vector', 'halfvec']) vector, unnest(ARRAY[
		'function engram_?_support(internal)',
		'function engram_ball(?,double precision)',
		'function engram_ball(?,double precision,boolean)',
		'function engram_cosine_batch(?,?[])',
		'function engram_cosine_matrix(?[],?[])',
		'function engram_topk(?,?[],integer)',
		'operator <#>@(?,engram_?_ball)',
		'operator <->@(?,engram_?_ball)',
		'operator <=>@(?,engram_?_ball)',
		'type engram_?_ball']) object;

-- But for the array types and row types that come with others, which are members from 17 on
CREATE TEMPORARY VIEW member_of AS
	SELECT e.extname, pg_describe_object(d.classid, d.objid, 0) AS object
	FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
		LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND d.objid = t.oid
		LEFT JOIN pg_class c ON t.typrelid = c.oid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND (t.oid IS NULL OR t.typcategory <> 'A' AND (c.oid IS NULL OR c.relkind = 'c'));
CREATE TEMPORARY VIEW member AS
	SELECT object FROM member_of WHERE extname = 'engramk';

-- The functions and views of the extension, wherever it is, and functions as declared
-- beside what is expected of them.
CREATE TEMPORARY VIEW member_function AS
	SELECT p.*
	FROM pg_depend d
		JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
		JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
	WHERE d.deptype = 'e' AND e.extname = 'engramk';
CREATE TEMPORARY VIEW declared_function AS
	SELECT x.*, f.oid, f.provolatile, f.proparallel, f.proretset, f.proisstrict, f.procost, f.prosecdef,
		f.proconfig, f.proleakproof, f.prolang
	FROM expected_function x
		LEFT JOIN member_function f ON f.proname = x.name AND pg_get_function_arguments(f.oid) = x.arguments;
CREATE TEMPORARY VIEW member_view AS
	SELECT c.*
	FROM pg_depend d
		JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
		JOIN pg_class c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
	WHERE d.deptype = 'e' AND e.extname = 'engramk';

SELECT plan(
	8 * (SELECT count(*)::integer FROM expected_function)
	+ 4 * (SELECT count(*)::integer FROM expected_operator)
	+ 2 * (SELECT count(*)::integer FROM expected_view)
	+ 77);

-- Exactly these members

SELECT bag_eq('SELECT object FROM member', 'SELECT object FROM expected_member',
	'the extension consists of exactly these objects');

-- Functions

SELECT is(pg_get_function_arguments(oid), arguments, name || ' has these arguments')
	FROM declared_function ORDER BY name, arguments;
SELECT is(pg_get_function_result(oid), result, name || ' returns ' || result)
	FROM declared_function ORDER BY name, arguments;
SELECT is(provolatile, volatility, name || ' has the volatility ' || volatility::text)
	FROM declared_function ORDER BY name, arguments;
SELECT is(proparallel, parallel, name || ' has the parallel safety ' || parallel::text)
	FROM declared_function ORDER BY name, arguments;
SELECT is(proretset, returns_set, name || CASE WHEN returns_set THEN ' returns rows' ELSE ' returns one value' END)
	FROM declared_function ORDER BY name, arguments;
SELECT ok(proisstrict, name || ' is strict')
	FROM declared_function ORDER BY name, arguments;
-- So a distance in a target list is computed after LIMIT.  Balls are for index conditions.
SELECT ok(volatility = 'v' OR procost > 10 OR name ~ '(engram_ball|_filter_number|_support)$', name || ' is expensive if it reads vectors')
	FROM declared_function ORDER BY name, arguments;
-- Nothing depends on the owner, and nothing claims not to tell of its input.
SELECT ok(NOT prosecdef AND proconfig IS NULL AND NOT proleakproof AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c'),
		name || ' runs as its caller')
	FROM declared_function ORDER BY name, arguments;

-- A procedure with a setting could not commit.
SELECT results_eq(
	$$SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), prokind, provolatile, proparallel
	  FROM member_function WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql') ORDER BY proname$$,
	$$VALUES ('engram_knn_join_create'::name, 'job text, queries text, targets text, k integer, slice_rows integer DEFAULT 50000, exclude_self boolean DEFAULT false, metric text DEFAULT ''cosine''::text, max_distance double precision DEFAULT ''Infinity''::double precision, join_by name DEFAULT NULL::name',
	          'integer', 'f'::"char", 'v'::"char", 'u'::"char"),
	         ('engram_knn_join_progress', 'job text, OUT slices integer, OUT finished integer, OUT running integer, OUT rows bigint, OUT started_at timestamp with time zone, OUT elapsed interval, OUT expected_end timestamp with time zone',
	          'record', 'f', 'v', 'r'),
	         ('engram_knn_join_run', 'IN job text', NULL, 'p', 'v', 'u')$$,
	'a join in slices is declared as it should be');
-- Progress asks for an error rather than run the policies of the owner of a job.
SELECT bag_eq(
	$$SELECT proname, proconfig FROM member_function
	  WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql') AND proconfig IS NOT NULL$$,
	$$VALUES ('engram_knn_join_progress'::name, '{row_security=off}'::text[])$$,
	'and runs as its caller, with the caller''s settings but for that of row security');
SELECT is_empty(
	$$SELECT proname FROM member_function
	  WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql') AND prosecdef$$,
	'and with the caller''s rights');

-- Those behind a view are described by the view, the handler by its access method.
SELECT is_empty(
	$$SELECT proname FROM member_function f
	  WHERE obj_description(f.oid, 'pg_proc') IS NULL AND proname NOT LIKE 'engram\_stat\_get\_%'
	    AND proname <> 'engramk_handler'$$,
	'every function has a comment');

-- Views

SELECT is(
		(SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
		 FROM pg_attribute a WHERE a.attrelid = v.oid AND a.attnum > 0),
		x.columns, x.name || ' has these columns')
	FROM expected_view x LEFT JOIN member_view v ON v.relname = x.name AND v.relkind = 'v' ORDER BY x.name;
SELECT isnt(obj_description(v.oid, 'pg_class'), NULL, x.name || ' has a comment')
	FROM expected_view x LEFT JOIN member_view v ON v.relname = x.name ORDER BY x.name;
SELECT is_empty($$SELECT relname FROM member_view v WHERE relkind <> 'v'$$, 'there are no relations but views');

-- Operators

SELECT has_operator('real[]', x.name, 'real[]', 'double precision', x.name || ' of real[] gives double precision')
	FROM expected_operator x ORDER BY x.name;
SELECT is(o.oprcode, x.function::regproc, x.name || ' calls ' || x.function)
	FROM expected_operator x LEFT JOIN pg_operator o ON o.oid = (x.name || '(real[],real[])')::regoperator ORDER BY x.name;
SELECT is(o.oprcom, o.oid, x.name || ' is its own commutator')
	FROM expected_operator x LEFT JOIN pg_operator o ON o.oid = (x.name || '(real[],real[])')::regoperator ORDER BY x.name;
SELECT isnt(obj_description(o.oid, 'pg_operator'), NULL, x.name || ' has a comment')
	FROM expected_operator x LEFT JOIN pg_operator o ON o.oid = (x.name || '(real[],real[])')::regoperator ORDER BY x.name;

-- Literals need no cast, which an overload for another type would spoil.
SELECT lives_ok(format('SELECT %L %s ARRAY[1, 2.5]::real[]', '{1,2}', x.name), x.name || ' takes a bare literal')
	FROM expected_operator x ORDER BY x.name;
SELECT lives_ok($$SELECT engram_cosine('{1,2}', '{3,4}')$$, 'functions take bare literals');
SELECT lives_ok($$SELECT engram_cosine(ARRAY[1, 2]::real[], ARRAY[0.5, 1.5]::real[])$$, 'functions take ARRAY with a cast');

SELECT results_eq(
	$$SELECT oprname, oprcode::text, oprresult::regtype, oprrest::text, oprjoin::text, obj_description(oid, 'pg_operator') IS NOT NULL
	  FROM pg_operator WHERE oprleft = 'real[]'::regtype AND oprright = 'engram_ball'::regtype ORDER BY oprcode::text$$,
	$$VALUES ('<=>@'::name, 'engram_cosine_in_ball', 'boolean'::regtype, 'contsel', 'contjoinsel', true),
	         ('<#>@', 'engram_inner_product_in_ball', 'boolean', 'contsel', 'contjoinsel', true),
	         ('<->@', 'engram_l2_in_ball', 'boolean', 'contsel', 'contjoinsel', true)$$,
	'operators of balls have estimates and comments');
SELECT results_eq(
	$$SELECT proname, prosupport::text FROM member_function WHERE prosupport <> 0 ORDER BY proname::text COLLATE "C"$$,
	$$VALUES ('engram_cosine_within'::name, 'engram_cosine_within_support'),
	         ('engram_inner_product_within', 'engram_inner_product_within_support'),
	         ('engram_l2_within', 'engram_l2_within_support')$$,
	'the planner asks of radii, and of nothing else');

-- The access method

SELECT is((amhandler, amtype), ('engramk_handler'::regproc, 'i'::"char"), 'engramk is an index access method')
	FROM pg_am WHERE amname = 'engramk';
SELECT isnt(obj_description(oid, 'pg_am'), NULL, 'which has a comment') FROM pg_am WHERE amname = 'engramk';
SELECT results_eq(
	$$SELECT opcname, opcintype::regtype, opcdefault, opckeytype::regtype
	  FROM pg_opclass c JOIN pg_am a ON c.opcmethod = a.oid WHERE amname = 'engramk' AND opcname NOT LIKE '%\_filter'$$,
	$$VALUES ('engram_ops'::name, 'real[]'::regtype, true, '-'::regtype)$$,
	'it has one operator class for vectors, the default for real[]');
SELECT results_eq(
	$$SELECT amopstrategy, amopopr::regoperator, amoppurpose, s.opfname
	  FROM pg_amop o JOIN pg_opfamily f ON f.oid = o.amopfamily LEFT JOIN pg_opfamily s ON s.oid = o.amopsortfamily
	  WHERE f.opfname = 'engram_ops' ORDER BY amopstrategy$$,
	$$VALUES (1::int2, '<=>(real[],real[])'::regoperator, 'o'::"char", 'float_ops'::name),
	         (2::int2, '<#>(real[],real[])', 'o', 'float_ops'), (3::int2, '<->(real[],real[])', 'o', 'float_ops'),
	         (4::int2, '<=>@(real[],engram_ball)', 's', NULL), (5::int2, '<#>@(real[],engram_ball)', 's', NULL),
	         (6::int2, '<->@(real[],engram_ball)', 's', NULL)$$,
	'with three operators that order and three that search');
SELECT is_empty($$SELECT 1 FROM pg_amproc p JOIN pg_opfamily f ON p.amprocfamily = f.oid WHERE opfname = 'engram_ops'$$,
	'and no support functions');
SELECT results_eq(
	$$SELECT opcintype::regtype, opfname, opcdefault,
		(SELECT string_agg(oprname::text COLLATE "default", ' ' ORDER BY amopstrategy) FROM pg_amop JOIN pg_operator p ON p.oid = amopopr
		 WHERE amopfamily = f.oid AND amoplefttype = opcintype AND amoprighttype = opcintype AND amoppurpose = 's'),
		(SELECT string_agg(amprocnum || ' ' || proname::text COLLATE "default", ', ') FROM pg_amproc JOIN pg_proc p ON p.oid = amproc
		 WHERE amprocfamily = f.oid AND amproclefttype = opcintype)
	  FROM pg_opclass c JOIN pg_am a ON c.opcmethod = a.oid JOIN pg_opfamily f ON f.oid = c.opcfamily
	  WHERE amname = 'engramk' AND opcname LIKE '%\_filter' ORDER BY opcname::text COLLATE "C"$$,
	$$VALUES ('boolean'::regtype, 'engram_bool_filter'::name, true, '< <= = >= >', '2 engram_filter_number'),
	         ('character', 'engram_bpchar_filter', true, '=', '1 hashbpchar'),
	         ('date', 'engram_date_filter', true, '< <= = >= >', '2 engram_filter_number'),
	         ('anyenum', 'engram_enum_filter', true, '=', '1 hashenum'),
	         ('smallint', 'engram_integer_filter', true, '< <= = >= >', '2 engram_filter_number'),
	         ('integer', 'engram_integer_filter', true, '< <= = >= >', '2 engram_filter_number'),
	         ('bigint', 'engram_integer_filter', true, '< <= = >= >', '2 engram_filter_number'),
	         ('numeric', 'engram_numeric_filter', true, '=', '1 hash_numeric'),
	         ('oid', 'engram_oid_filter', true, '=', '1 hashoid'),
	         ('text', 'engram_text_filter', true, '=', '1 hashtext'),
	         ('timestamp', 'engram_timestamp_filter', true, '< <= = >= >', '2 engram_filter_number'),
	         ('timestamptz', 'engram_timestamptz_filter', true, '< <= = >= >', '2 engram_filter_number'),
	         ('uuid', 'engram_uuid_filter', true, '=', '1 uuid_hash')$$,
	'columns that filter have one for each of these types, by a hash or by numbers');
SELECT is((count(DISTINCT (amoplefttype, amoprighttype)), count(*)), (9::bigint, 45::bigint), 'integers of any two types are compared in five ways')
	FROM pg_amop JOIN pg_opfamily f ON f.oid = amopfamily WHERE opfname = 'engram_integer_filter';

-- The extension

SELECT is(extversion, '1.9', 'its version is 1.9') FROM pg_extension WHERE extname = 'engramk';
SELECT is(default_version, '1.9', 'which is the default version') FROM pg_available_extensions WHERE name = 'engramk';
SELECT ok(extrelocatable, 'it is relocatable') FROM pg_extension WHERE extname = 'engramk';
SELECT is(extconfig, NULL, 'it has no configuration tables') FROM pg_extension WHERE extname = 'engramk';

CREATE TEMPORARY TABLE item (id integer, embedding real[]);
INSERT INTO item VALUES (1, '{1,0}'), (2, '{3,4}'), (3, '{0,0}');

-- Every version can be had, from nothing and from its neighbours.

SELECT results_eq(
	$$SELECT source, target, path FROM pg_extension_update_paths('engramk') WHERE path IS NOT NULL ORDER BY source, target$$,
	$$WITH version AS (SELECT * FROM unnest('{1.0,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9}'::text[]) WITH ORDINALITY AS v (name, number))
	  SELECT a.name, b.name,
		(SELECT string_agg(name, '--' ORDER BY number * sign(b.number - a.number)) FROM version
		 WHERE number BETWEEN least(a.number, b.number) AND greatest(a.number, b.number))
	  FROM version AS a JOIN version AS b ON a.number <> b.number ORDER BY a.name, b.name$$,
	'one script leads from each version to the next, up and down');
DROP EXTENSION engramk;
CREATE EXTENSION engramk VERSION '1.0';
SELECT is(extversion, '1.0', 'CREATE EXTENSION VERSION gives the older one') FROM pg_extension WHERE extname = 'engramk';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since = '1.0'$$,
	'which consists of exactly the objects of 1.0');
SELECT results_eq($$SELECT id FROM item ORDER BY embedding <=> '{3,4}'$$, ARRAY[2, 1, 3], 'and works');
ALTER EXTENSION engramk UPDATE;
SELECT is(extversion, '1.9', 'ALTER EXTENSION UPDATE leads to the default version') FROM pg_extension WHERE extname = 'engramk';
SELECT bag_eq('SELECT object FROM member', 'SELECT object FROM expected_member',
	'which consists of the same objects as a new one');
ALTER EXTENSION engramk UPDATE TO '1.8';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.9'$$,
	'the way back leaves the objects of 1.8');
ALTER EXTENSION engramk UPDATE TO '1.7';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.9'$$,
	'and then those of 1.7, the same');
ALTER EXTENSION engramk UPDATE TO '1.6';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.7'$$,
	'the way back leaves the objects of 1.6');
SELECT results_eq(
	$$SELECT opfname, count(amopopr) FROM pg_opfamily f JOIN pg_am a ON opfmethod = a.oid LEFT JOIN pg_amop ON amopfamily = f.oid
	  WHERE amname = 'engramk' GROUP BY opfname$$,
	$$VALUES ('engram_ops'::name, 3::bigint)$$, 'of operators, those that order');
ALTER EXTENSION engramk UPDATE TO '1.5';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.6'$$,
	'the way back leaves the objects of 1.5');
SELECT is(pg_get_function_arguments(oid), 'index regclass, OUT dimensions integer, OUT vectors bigint, OUT dead bigint, OUT bytes_per_vector double precision, OUT basis integer, OUT coarse_bits integer, OUT sampled integer, OUT pages bigint, OUT format integer, OUT coarse_bytes double precision, OUT fine_bytes double precision, OUT widths integer[], OUT survivors_expected bigint, OUT survivors double precision',
	'and the columns that engram_index_info had') FROM member_function WHERE proname = 'engram_index_info';
ALTER EXTENSION engramk UPDATE TO '1.4';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.4'$$,
	'the way back leaves the objects of 1.4');
SELECT is(pg_get_function_arguments(oid), 'index regclass, OUT dimensions integer, OUT vectors bigint, OUT dead bigint, OUT bytes_per_vector double precision, OUT basis integer, OUT coarse_bits integer, OUT sampled integer, OUT pages bigint',
	'and the columns that it had there') FROM member_function WHERE proname = 'engram_index_info';
ALTER EXTENSION engramk UPDATE TO '1.3';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.4'$$,
	'the way back leaves the objects of 1.3, the same');
ALTER EXTENSION engramk UPDATE TO '1.2';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since < '1.3'$$,
	'the way back leaves the objects of 1.2');
ALTER EXTENSION engramk UPDATE TO '1.1';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since IN ('1.0', '1.1')$$,
	'the way back leaves the objects of 1.1');
SELECT is_empty($$SELECT oid FROM pg_opfamily WHERE opfname = 'engram_ops'$$, 'and no operator family');
ALTER EXTENSION engramk UPDATE TO '1.0';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since = '1.0'$$,
	'and further back leaves the objects of 1.0');
ALTER EXTENSION engramk UPDATE TO '1.9';
ALTER EXTENSION engramk UPDATE TO '1.0';
SELECT bag_eq('SELECT object FROM member', $$SELECT object FROM expected_member WHERE since = '1.0'$$,
	'as does going back by nine versions at once');
ALTER EXTENSION engramk UPDATE TO '1.9';

-- In another schema, which is not in the search path

CREATE SCHEMA "Else where";
ALTER EXTENSION engramk SET SCHEMA "Else where";
SELECT is_empty($$SELECT proname FROM member_function WHERE pronamespace <> '"Else where"'::regnamespace$$,
	'ALTER EXTENSION SET SCHEMA moves every function');
SELECT is_empty(
	$$SELECT oprname FROM pg_operator WHERE oprnamespace <> '"Else where"'::regnamespace
	  AND oprcode IN (SELECT oid FROM member_function)$$,
	'ALTER EXTENSION SET SCHEMA moves every operator');
SELECT is_empty($$SELECT relname FROM member_view WHERE relnamespace <> '"Else where"'::regnamespace$$,
	'ALTER EXTENSION SET SCHEMA moves every view');
SELECT is_empty(
	$$WITH am AS (SELECT oid FROM pg_am WHERE amname = 'engramk')
	  SELECT opcname FROM pg_opclass JOIN am ON am.oid = opcmethod WHERE opcnamespace <> '"Else where"'::regnamespace
	  UNION ALL SELECT opfname FROM pg_opfamily JOIN am ON am.oid = opfmethod WHERE opfnamespace <> '"Else where"'::regnamespace$$,
	'ALTER EXTENSION SET SCHEMA moves operator classes and families');
SELECT is(count(*), 5::bigint, 'a view that moved works by its qualified name') FROM "Else where".engram_stat_errors;
SELECT throws_ok($$SELECT '{1}'::real[] <=> '{1}'::real[]$$, '42883', NULL, 'what moved away is gone from the path');
SELECT results_eq(
	$$SELECT embedding OPERATOR("Else where".<=>) '{3,4}' FROM item ORDER BY id$$,
	$$VALUES (0.4::float8), (0), (1)$$,
	'an operator works by its qualified name');

DROP EXTENSION engramk;
CREATE EXTENSION engramk SCHEMA "Else where";
SELECT is_empty($$SELECT proname FROM member_function WHERE pronamespace <> '"Else where"'::regnamespace$$,
	'CREATE EXTENSION SCHEMA creates every function there');
SELECT results_eq(
	$$SELECT ordinal, similarity FROM "Else where".engram_topk('{3,4}', '{{1,0},{3,4}}', 1)$$,
	$$VALUES (2, 1::float8)$$,
	'a function works by its qualified name');
SELECT is("Else where".engram_normalize('{3,4}'), '{0.6,0.8}', 'a function of one vector too');
CREATE INDEX item_embedding ON item USING engramk (embedding);
SELECT is("Else where".engram_index_check('item_embedding'), 3::bigint, 'an index needs no operator class in the path');
DROP INDEX item_embedding;
CREATE INDEX item_embedding ON item USING engramk (embedding, id);
SELECT is("Else where".engram_index_check('item_embedding'), 3::bigint, 'nor do its filter columns');
SET LOCAL enable_seqscan = off;
SELECT results_eq($$SELECT id FROM item WHERE "Else where".engram_cosine_within(embedding, '{3,4}', 0.5) AND id < 2$$, ARRAY[1],
	'a radius is found by its qualified name');
SELECT is(scans, 1::bigint, 'by the index') FROM "Else where".engram_stat_indexes WHERE indexrelname = 'item_embedding';
RESET enable_seqscan;
DROP INDEX item_embedding;
SELECT is(
	(SELECT embedding OPERATOR("Else where".<+>) '{0,0}' FROM item ORDER BY embedding OPERATOR("Else where".<->) '{3,4}' LIMIT 1),
	7::float8, 'an operator orders by its qualified name');

-- Nothing is left but the data

SELECT lives_ok('DROP EXTENSION engramk', 'the extension can be dropped');
SELECT is_empty(
	$$SELECT oid::regprocedure FROM pg_proc WHERE proname LIKE 'engram\_%' OR probin LIKE '%engramk%'$$,
	'no function is left');
SELECT is_empty(
	$$SELECT oid::regclass FROM pg_class WHERE relname LIKE 'engram\_%'$$,
	'no view is left');
SELECT is_empty(
	$$SELECT oid::regoperator FROM pg_operator
	  WHERE oprleft = 'real[]'::regtype AND oprright = 'real[]'::regtype AND oprnamespace <> 'pg_catalog'::regnamespace$$,
	'no operator is left');
SELECT is_empty(
	$$SELECT amname FROM pg_am WHERE amname = 'engramk'
	  UNION ALL SELECT opcname FROM pg_opclass WHERE opcname LIKE 'engram\_%'
	  UNION ALL SELECT opfname FROM pg_opfamily WHERE opfname LIKE 'engram\_%'
	  UNION ALL SELECT typname FROM pg_type WHERE typname LIKE 'engram\_%'$$,
	'no access method is left, nor an operator class, a family or a type');
SELECT results_eq('SELECT embedding FROM item ORDER BY id', $$VALUES ('{1,0}'::real[]), ('{3,4}'), ('{0,0}')$$,
	'the vectors are left as they were');

-- The types of pgvector, where that is installed

SELECT count(*) AS has_pgvector FROM pg_available_extensions
WHERE name = 'vector' AND string_to_array(default_version, '.')::integer[] >= '{0,7}' \gset
\if :has_pgvector
CREATE EXTENSION vector;
CREATE EXTENSION engramk;
CREATE EXTENSION engramk_pgvector;
SELECT bag_eq('SELECT object FROM member', 'SELECT object FROM expected_member',
	'engramk consists of the same objects where pgvector is');
SELECT bag_eq($$SELECT object FROM member_of WHERE extname = 'engramk_pgvector'$$, 'SELECT object FROM expected_pgvector_member',
	'engramk_pgvector consists of exactly these objects');
SELECT is(extversion, '1.8', 'its version is 1.8') FROM pg_extension WHERE extname = 'engramk_pgvector';
SELECT ok(extrelocatable AND extconfig IS NULL, 'it is relocatable, without configuration tables')
	FROM pg_extension WHERE extname = 'engramk_pgvector';
SELECT results_eq(
	$$SELECT source, target FROM pg_extension_update_paths('engramk_pgvector')$$, 'SELECT NULL::text, NULL::text WHERE false',
	'there is no other');
SELECT results_eq(
	$$SELECT c.opcname, c.opcintype::regtype, c.opcdefault, ours.oid IS NOT NULL AND amvalidate(ours.oid)
	  FROM pg_opclass c
		LEFT JOIN pg_opclass ours ON ours.opcname = c.opcname AND ours.opcintype = c.opcintype
			AND ours.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'engramk')
	  WHERE c.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw') AND c.opcname ~ '^(half)?vec(tor)?_(cosine|ip|l2)_ops$'
	  ORDER BY c.opcname::text COLLATE "C"$$,
	$$VALUES ('halfvec_cosine_ops'::name, 'halfvec'::regtype, false, true), ('halfvec_ip_ops', 'halfvec', false, true),
	         ('halfvec_l2_ops', 'halfvec', false, true), ('vector_cosine_ops', 'vector', false, true),
	         ('vector_ip_ops', 'vector', false, true), ('vector_l2_ops', 'vector', false, true)$$,
	'its operator classes have the names that those of hnsw have, and are valid');
SELECT results_eq(
	$$SELECT opcname FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'engramk') AND opcdefault
	  AND opcintype IN ('vector'::regtype, 'halfvec'::regtype) ORDER BY opcname::text COLLATE "C"$$,
	ARRAY['halfvec_l2_ops', 'vector_l2_ops']::name[], 'by default they are of the Euclidean distance');
SELECT is_empty(
	$$SELECT o.object FROM member_of o
	  WHERE extname = 'engramk_pgvector' AND object ~ '^(function|operator|type) ' AND object !~ '^operator (class|family) '
	    AND NOT EXISTS (SELECT FROM pg_description d WHERE pg_describe_object(d.classoid, d.objoid, 0) = o.object)$$,
	'whatever users call has a comment');
SELECT is_empty(
	$$SELECT p.oid::regprocedure
	  FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid JOIN pg_proc p ON d.objid = p.oid
	  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
	    AND d.deptype = 'e' AND e.extname = 'engramk_pgvector'
	    AND (p.provolatile, p.proparallel, p.prosecdef, p.proconfig IS NULL, p.proacl IS NULL) <> ('i', 's', false, true, true)$$,
	'its functions are immutable, parallel safe, for every user, and run as their caller');
SELECT throws_ok('DROP EXTENSION engramk', '2BP01', NULL, 'engramk stays while it is there');
SELECT lives_ok('DROP EXTENSION engramk_pgvector', 'it can be dropped');
\else
SELECT skip('pgvector is not installed in this server', 11);
\endif

SELECT * FROM finish();
ROLLBACK;
