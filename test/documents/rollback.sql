-- The system of shop.sql, where items are of tenants, with an index that filters by them.
\ir shop.sql

ALTER TABLE items ADD tenant_id integer GENERATED ALWAYS AS (id % 10) STORED;
CREATE INDEX items_tenant ON items USING engramk (embedding, tenant_id);
ANALYZE items;

-- Another that is hard to name, to drop and to build: of a partitioned table, of an
-- expression, of some of its rows.
CREATE TABLE "Past items" (LIKE items) PARTITION BY LIST (tenant_id);
CREATE TABLE "Past items of 7" PARTITION OF "Past items" FOR VALUES IN (7);
INSERT INTO "Past items" SELECT id, embedding, tenant_id FROM items WHERE tenant_id = 7;
CREATE INDEX "Past items, by id" ON "Past items" USING engramk (engram_normalize(embedding), id) WHERE id > 100;
