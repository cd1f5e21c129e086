-- One line of bench_growth.sh, of the tables items and queries.
SET client_min_messages = warning;
ALTER TABLE items ALTER embedding SET STORAGE plain;
CREATE TEMP TABLE figure (name text, value float8);

-- Notes in files what this backend has taken of memory that it does not share, in kB.
SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! (while [ -d /proc/$PID ]; do awk '/RssAnon/ {print $2}' /proc/$PID/status; sleep 0.02; done >>"$NOTES" 2>/dev/null) &
CREATE FUNCTION pg_temp.timed(name text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	EXECUTE statement;
	INSERT INTO figure VALUES (name, extract(epoch FROM clock_timestamp() - began));
END $$;

VACUUM (ANALYZE) items;
\! sleep 0.1; : >"$NOTES"
SELECT pg_temp.timed('build', 'CREATE INDEX items_i ON items USING engramk (embedding)') \g /dev/null
\set peak `sort -n "$NOTES" | tail -1`
\set least `sort -n "$NOTES" | head -1`
INSERT INTO figure SELECT 'memory', (:peak - :least) / 1024.0;
INSERT INTO figure SELECT 'size', pg_relation_size('items_i') / 1048576.0;

-- Queries, by turns between numbers of processes.
CREATE FUNCTION pg_temp.ask(processes integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	q record;
	n integer;
	began timestamptz;
BEGIN
	PERFORM set_config(s, '0', true)
	FROM unnest('{parallel_setup_cost,parallel_tuple_cost,min_parallel_table_scan_size,min_parallel_index_scan_size}'::text[]) AS s;
	SET LOCAL enable_seqscan = off;
	FOR round IN 0..3 LOOP
		FOR q IN SELECT * FROM queries LOOP
			FOREACH n IN ARRAY processes LOOP
				PERFORM set_config('max_parallel_workers_per_gather', (n - 1)::text, true);
				began := clock_timestamp();
				EXECUTE 'SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY embedding <=> $1 LIMIT 10) AS nearest' USING q.embedding;
				IF round > 0 THEN
					INSERT INTO figure VALUES ('query ' || n, extract(epoch FROM clock_timestamp() - began) * 1000);
				END IF;
			END LOOP;
		END LOOP;
	END LOOP;
END $$;
ALTER TABLE items SET (parallel_workers = 8);
SELECT pg_temp.ask(:'processes') \g /dev/null

-- A hundredth more, one by one; then every hundredth row goes.
CREATE TEMP TABLE more AS SELECT id, embedding FROM items WHERE id % 100 = 1;
CREATE FUNCTION pg_temp.insert_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	row record;
BEGIN
	FOR row IN SELECT * FROM more LIMIT 20000 LOOP
		INSERT INTO items VALUES (-row.id, row.embedding);
	END LOOP;
END $$;
SELECT pg_temp.timed('insert', 'SELECT pg_temp.insert_all()') \g /dev/null
DELETE FROM items WHERE id % 100 = 2;
CHECKPOINT;
SET max_parallel_maintenance_workers = 0;
\! sleep 0.1; : >"$NOTES"
SELECT pg_current_wal_insert_lsn() AS before, clock_timestamp() AS began,
	pg_stat_get_blocks_fetched('items_i'::regclass) AS blocks \gset
VACUUM (INDEX_CLEANUP on) items;
INSERT INTO figure SELECT 'vacuum', extract(epoch FROM clock_timestamp() - :'began'::timestamptz);
\! sleep 0.1
\set peak `sort -n "$NOTES" | tail -1`
\set least `sort -n "$NOTES" | head -1`
-- the counters follow later
SELECT pg_sleep(1.1) \g /dev/null
SELECT pg_sleep(0.1) \g /dev/null
INSERT INTO figure
	SELECT 'wal', (pg_current_wal_insert_lsn() - :'before'::pg_lsn) / 1048576.0
	UNION ALL SELECT 'read', (pg_stat_get_blocks_fetched('items_i'::regclass) - :blocks) * 8 / 1024.0
	UNION ALL SELECT 'vacuum memory', (:peak - :least) / 1024.0;

CREATE FUNCTION pg_temp.of(name text) RETURNS float8 LANGUAGE sql AS $$
	SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FROM figure WHERE figure.name = $1
$$;
SELECT concat_ws(E'\t', lpad(:'rows', 10), to_char(pg_temp.of('build'), '9990.0'), to_char(pg_temp.of('size'), '999990'),
	to_char(pg_temp.of('memory'), '9999990.0'),
	(SELECT string_agg(to_char(pg_temp.of('query ' || n), '99990.00'), E'\t') FROM unnest(:'processes'::integer[]) AS n),
	to_char((SELECT least(count(*), 20000) FROM more) / pg_temp.of('insert'), '99999990'),
	to_char(pg_temp.of('vacuum'), '99990.00'), to_char(pg_temp.of('read'), '9999990'), to_char(pg_temp.of('wal'), '999990.0'),
	to_char(pg_temp.of('vacuum memory'), '99990.0'));
