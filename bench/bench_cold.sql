-- Queries of bench_cold.sh, by turns: medians.
CREATE TEMP TABLE figure (contestant text, ms float8);
DO $$
DECLARE
	q record;
	began timestamptz;
BEGIN
	SET LOCAL enable_seqscan = off;
	FOR round IN 0..3 LOOP
		FOR q IN SELECT embedding, embedding::vector AS vector FROM queries LOOP
			began := clock_timestamp();
			PERFORM id FROM items ORDER BY embedding <=> q.embedding LIMIT 10;
			INSERT INTO figure SELECT 'engramk', extract(epoch FROM clock_timestamp() - began) * 1000 WHERE round > 0;
			began := clock_timestamp();
			PERFORM id FROM vectors ORDER BY embedding <=> q.vector LIMIT 10;
			INSERT INTO figure SELECT 'hnsw', extract(epoch FROM clock_timestamp() - began) * 1000 WHERE round > 0;
		END LOOP;
	END LOOP;
END $$;
SELECT 'shared_buffers = ' || :'buffers' || ' MB: ' || string_agg(contestant || ' ' || ms || ' ms', ', ' ORDER BY contestant)
FROM (SELECT contestant, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2) AS ms FROM figure GROUP BY contestant) AS m;
