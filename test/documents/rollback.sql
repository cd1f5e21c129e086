-- The system of shop.sql, where items are of tenants, with an index that filters by them.
\ir shop.sql

ALTER TABLE items ADD tenant_id integer GENERATED ALWAYS AS (id % 10) STORED;
CREATE INDEX items_tenant ON items USING engramk (embedding, tenant_id);
ANALYZE items;
