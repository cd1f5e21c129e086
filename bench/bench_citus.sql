-- What bench_citus.sh measures, of the table source.
SET client_min_messages = error;
CREATE TABLE queries AS SELECT id, embedding FROM source ORDER BY hashint4(id) LIMIT :queries;
DELETE FROM source USING queries WHERE source.id = queries.id;
CREATE TEMP TABLE figure (what text, ms float8);

CREATE FUNCTION pg_temp.timed(what text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	EXECUTE statement;
	INSERT INTO figure VALUES (what, 1000 * extract(epoch FROM clock_timestamp() - began));
END $$;

CREATE FUNCTION pg_temp.new_table(name text, shards integer, key text DEFAULT 'id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id integer, tenant_id integer, embedding real[])', name);
	EXECUTE format('ALTER TABLE %I ALTER embedding SET STORAGE plain, ALTER embedding SET STATISTICS 0', name);
	IF shards > 0 THEN
		PERFORM create_distributed_table(quote_ident(name)::regclass, key, shard_count => shards, colocate_with => 'none');
	END IF;
END $$;

-- Asks for the ten nearest of each query in each table, three times and by turns; and
-- for any ten rows, which takes the way to the shards and back alone.
CREATE FUNCTION pg_temp.ask(tables text[], filter text DEFAULT 'true') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	q record;
	name text;
BEGIN
	FOR round IN 1..3 LOOP
		FOR q IN SELECT * FROM queries LOOP
			FOREACH name IN ARRAY tables LOOP
				PERFORM pg_temp.timed(name, format('SELECT array_agg(id) FROM (SELECT id FROM %I WHERE %s
					ORDER BY embedding <=> %L LIMIT 10) AS x', name, filter, q.embedding));
				PERFORM pg_temp.timed(name || ' (way)', format('SELECT array_agg(id) FROM (SELECT id FROM %I WHERE %s
					LIMIT 10) AS x', name, filter));
			END LOOP;
		END LOOP;
	END LOOP;
END $$;

-- The median, and the tenth that is fastest, which a busy machine disturbs less
CREATE FUNCTION pg_temp.report(tables text[]) RETURNS SETOF text LANGUAGE sql AS $$
WITH times AS (
	SELECT what, percentile_cont('{0.5,0.1}'::float8[]) WITHIN GROUP (ORDER BY ms) AS ms FROM figure GROUP BY what)
SELECT rpad(name, 30) || to_char(t.ms[1], '9990.00') || to_char(t.ms[1] / first.ms[1], '990.00')
	|| to_char(t.ms[2], '9990.00') || to_char(t.ms[2] / first.ms[2], '990.00') || to_char(way.ms[2], '9990.00')
FROM unnest(tables) WITH ORDINALITY AS named (name, place) JOIN times AS t ON t.what = name
	JOIN times AS way ON way.what = name || ' (way)', LATERAL (SELECT ms FROM times WHERE what = tables[1]) AS first
ORDER BY place $$;

-- By id
SELECT pg_temp.new_table('one table', 0), pg_temp.new_table('2 workers x 1 shard', 2),
	pg_temp.new_table('2 workers x 2 shards', 4), pg_temp.new_table('2 workers x 4 shards', 8) \g /dev/null
\set tables '{one table,2 workers x 1 shard,2 workers x 2 shards,2 workers x 4 shards}'
SELECT format('INSERT INTO %I SELECT id, hashint4(id) & 127, embedding FROM source', name),
	format('CREATE INDEX ON %I USING engramk (embedding)', name), format('VACUUM ANALYZE %I', name)
FROM unnest(:'tables'::text[]) AS name \gexec
\echo '                                median, ratio  fastest tenth, ratio, its way'
\echo by id
SELECT pg_temp.ask(:'tables') \g /dev/null
SELECT * FROM pg_temp.report(:'tables');

-- By tenant
DROP TABLE "2 workers x 1 shard", "2 workers x 4 shards";
SELECT pg_temp.new_table('tenant, one table', 0), pg_temp.new_table('tenant, 2 workers x 4 shards', 8,
	'tenant_id') \g /dev/null
\set tables '{"tenant, one table","tenant, 2 workers x 4 shards"}'
SELECT format('INSERT INTO %I SELECT id, hashint4(id) & 127, embedding FROM source', name),
	format('CREATE INDEX ON %I USING engramk (embedding, tenant_id)', name), format('VACUUM ANALYZE %I', name)
FROM unnest(:'tables'::text[]) AS name \gexec
\echo one tenant of 128
SELECT pg_temp.ask(:'tables', 'tenant_id = 7') \g /dev/null
SELECT * FROM pg_temp.report(:'tables');

-- The order of loading, of 2 workers x 2 shards; s of each step, ms of a query after it
\echo the order of loading
DROP TABLE "2 workers x 2 shards";
DELETE FROM figure;
SELECT pg_temp.new_table('rows, then the index', 4) \g /dev/null
SELECT pg_temp.timed('1. rows, then the index: rows', 'INSERT INTO "rows, then the index" SELECT id, 0, embedding
	FROM source'),
	pg_temp.timed('1. rows, then the index: index', 'CREATE INDEX ON "rows, then the index" USING engramk (embedding)') \g /dev/null
SELECT pg_temp.new_table('index, then rows', 4) \g /dev/null
CREATE INDEX ON "index, then rows" USING engramk (embedding);
SELECT pg_temp.timed('2. index, then rows: rows', 'INSERT INTO "index, then rows" SELECT id, 0, embedding
	FROM source') \g /dev/null
CREATE TABLE "distributed with rows" (LIKE "one table" INCLUDING ALL);
ALTER TABLE "distributed with rows" ALTER embedding SET STATISTICS 0;
INSERT INTO "distributed with rows" SELECT * FROM "one table";
SELECT pg_temp.timed('3. distributed with rows: all', $$SELECT create_distributed_table('"distributed with rows"',
	'id', shard_count => 4, colocate_with => 'none')$$) \g /dev/null
\set tables '{"rows, then the index","index, then rows","distributed with rows"}'
SELECT pg_temp.ask(:'tables') \g /dev/null
SELECT * FROM pg_temp.report(:'tables');
DELETE FROM figure WHERE what !~ '^[0-9]';
SELECT clock_timestamp() AS began \gset
VACUUM "index, then rows";
INSERT INTO figure SELECT '2. index, then rows: VACUUM', 1000 * extract(epoch
	FROM clock_timestamp() - :'began'::timestamptz);
VACUUM "distributed with rows";
\echo after VACUUM
SELECT pg_temp.ask(:'tables') \g /dev/null
SELECT * FROM pg_temp.report(:'tables');
SELECT rpad(what, 34) || to_char(ms / 1000, 'FM990.0') || ' s' FROM figure WHERE what ~ '^[0-9]' ORDER BY what;
