-- The system of shop.sql, where items are of tenants, with an index that filters by them.
\ir shop.sql
SET client_min_messages = warning;

ALTER TABLE items ADD tenant_id integer GENERATED ALWAYS AS (id % 10) STORED;
CREATE INDEX items_tenant ON items USING engramk (embedding, tenant_id) WITH (m = 16);
ANALYZE items;

-- Another that is hard to name, to drop and to build: of a partitioned table, of an
-- expression, of some of its rows.
CREATE TABLE "Past items" (LIKE items) PARTITION BY LIST (tenant_id);
CREATE TABLE "Past items of 7" PARTITION OF "Past items" FOR VALUES IN (7);
INSERT INTO "Past items" SELECT id, embedding, tenant_id FROM items WHERE tenant_id = 7;
CREATE INDEX "Past items, by id" ON "Past items" USING engramk (engram_normalize(embedding), id) WHERE id > 100;

-- What blocks the way back from 1.9, what goes with it, and what calls it.
CREATE VIEW nearest_to_first AS
    SELECT f.id, f.distance FROM engram_fan_out('{s1,s2}',
        'SELECT id, embedding <=> $1 FROM items ORDER BY embedding <=> $1, id LIMIT 10',
        ARRAY[(SELECT embedding::text FROM items WHERE id = 1)], 10) AS f;
GRANT EXECUTE ON FUNCTION engram_fan_out(name[], text, text[], integer, boolean) TO app;
CREATE FUNCTION nearest_everywhere(query real[]) RETURNS TABLE (id bigint, distance double precision) LANGUAGE sql AS $$
    SELECT id, distance FROM engram_fan_out('{s1,s2}',
        'SELECT id, embedding <=> $1 FROM items ORDER BY embedding <=> $1, id LIMIT 10', ARRAY[query::text], 10)
$$;

-- Where pgvector is installed, indexes of its types: of a column without a number of dimensions,
-- of a partitioned table, and one that is hard to name.
SELECT count(*) AS has_pgvector FROM pg_available_extensions
WHERE name = 'vector' AND string_to_array(default_version, '.')::integer[] >= '{0,7}' \gset
\if :has_pgvector
CREATE SCHEMA "Of pgvector";
CREATE EXTENSION vector SCHEMA "Of pgvector";
CREATE EXTENSION engramk_pgvector SCHEMA "Of pgvector";
SET search_path = public, "Of pgvector";
CREATE TABLE articles (id integer, embedding vector(384), short halfvec);
INSERT INTO articles SELECT id, embedding::vector, embedding::halfvec FROM items;
CREATE INDEX articles_embedding ON articles USING engramk (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX "articles, in short" ON articles USING engramk (short halfvec_ip_ops, id) WHERE id > 100;
CREATE TABLE "Past articles" (LIKE articles) PARTITION BY RANGE (id);
CREATE TABLE "Past articles, all" PARTITION OF "Past articles" DEFAULT;
INSERT INTO "Past articles" TABLE articles;
CREATE INDEX "Past articles, by halves" ON "Past articles" USING engramk ((embedding::halfvec(384)) halfvec_l2_ops);
RESET search_path;
\endif
