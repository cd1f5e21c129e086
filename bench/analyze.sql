-- What ANALYZE takes for a column of vectors, by the statistics target of the
-- column: PostgreSQL gathers statistics of the elements of arrays, unless it is 0.
--
--	test/with-cluster.sh psql -X -q -v rows=50000 -v dims=384 -f bench/analyze.sql
\set QUIET on
\set ON_ERROR_STOP on
SELECT setseed(0.5) \g /dev/null
CREATE TABLE items (id integer, embedding real[]);
INSERT INTO items
	SELECT i, ARRAY(SELECT random()::real FROM generate_series(1, :dims) WHERE i > 0)
	FROM generate_series(1, :rows) AS i;
VACUUM items;

CREATE FUNCTION pg_temp.analyze_ms(target integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	best numeric := 'Infinity';
	begun timestamptz;
BEGIN
	EXECUTE format('ALTER TABLE items ALTER embedding SET STATISTICS %s', target);
	FOR i IN 1..3 LOOP
		begun := clock_timestamp();
		ANALYZE items;
		best := least(best, extract(epoch FROM clock_timestamp() - begun) * 1000);
	END LOOP;
	RETURN round(best);
END $$;

\echo ANALYZE of :rows rows of :dims dimensions, the best of three, milliseconds
SELECT target, pg_temp.analyze_ms(target) AS ms FROM unnest(ARRAY[0, 100, 1000]) AS target;
