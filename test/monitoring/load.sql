-- pgbench: every operation, and now and then an error and an overflow of the arena
\set id random(1, 200)
WITH query AS MATERIALIZED (SELECT embedding FROM items WHERE id = :id)
SELECT count(i.embedding <=> q.embedding), count(i.embedding <#> q.embedding),
	count(i.embedding <-> q.embedding), count(i.embedding <+> q.embedding),
	count(engram_norm(i.embedding)) FROM items AS i, query AS q;
SELECT count(t) FROM batches, items, engram_topk(embedding, candidates, 10) AS t WHERE id = :id;
SELECT cardinality(engram_cosine_batch(embedding, candidates)) FROM batches, items WHERE id = :id;
SELECT cardinality(engram_cosine_matrix(ARRAY[embedding], ARRAY[embedding])) FROM items WHERE id = :id;
SELECT cardinality(engram_nearest(i.id, i.embedding, q.embedding, 3)) FROM items AS i, items AS q WHERE q.id = :id;
SELECT count(*) FROM engram_knn_join('SELECT id, embedding FROM items WHERE id < 3', 'SELECT id, embedding FROM items', 3);
-- 8000 matches of 16 bytes each
SET engramk.arena_size = '64kB';
SELECT count(t) FROM batches, items, engram_topk(embedding[1:16], candidates, 8000) AS t WHERE id = :id;
RESET engramk.arena_size;
DO $$ BEGIN
	PERFORM ARRAY[1, 2]::real[] <=> ARRAY[1, 2, 3]::real[];
EXCEPTION WHEN data_exception THEN
	NULL;
END $$;
