-- Queries of bench_cold.sh: medians.  All of one index, then all of the other, and so
-- on; the first time each does not count, since buffers are full of the other one.
CREATE TEMP TABLE figure (contestant text, ms float8);
DO $$
DECLARE
	contestant text;
	q record;
	began timestamptz;
BEGIN
	SET LOCAL enable_seqscan = off;
	FOR round IN 1..3 LOOP
		FOREACH contestant IN ARRAY '{engramk,hnsw}'::text[] LOOP
			FOR turn IN 0..2 LOOP
				FOR q IN SELECT embedding, embedding::vector AS vector FROM queries LOOP
					began := clock_timestamp();
					IF contestant = 'engramk' THEN
						PERFORM id FROM items ORDER BY embedding <=> q.embedding LIMIT 10;
					ELSE
						PERFORM id FROM vectors ORDER BY embedding <=> q.vector LIMIT 10;
					END IF;
					INSERT INTO figure SELECT contestant, extract(epoch FROM clock_timestamp() - began) * 1000 WHERE turn > 0;
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
END $$;
SELECT 'shared_buffers = ' || :'buffers' || ' MB: ' || string_agg(contestant || ' ' || ms || ' ms', ', ' ORDER BY contestant)
FROM (SELECT contestant, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2) AS ms FROM figure GROUP BY contestant) AS m;
