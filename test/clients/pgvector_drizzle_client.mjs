// Drizzle: the migration is what drizzle-kit makes of the table.
import { cosineDistance } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, index, pgTable, vector } from 'drizzle-orm/pg-core';
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { QUERY, equal, run } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

const items = pgTable('drizzle_items', {
  id: bigint('id', { mode: 'number' }).primaryKey(),
  embedding: vector('embedding', { dimensions: 24 }),
}, (table) => [
  index('drizzle_items_embedding').using('engramk', table.embedding.op('vector_cosine_ops'))
    .with({ m: 16, ef_construction: 64 }),
]);

await run(async () => {
  const server = await Server.connect();
  const db = drizzle(server.client);

  const migration = await generateMigration(generateDrizzleJson({}), generateDrizzleJson({ items }));
  equal(migration[1], 'CREATE INDEX "drizzle_items_embedding" ON "drizzle_items" USING engramk '
    + '("embedding" vector_cosine_ops) WITH (m=16,ef_construction=64);', 'the migration makes an index of engramk');
  for (const statement of migration) await db.execute(statement);
  await db.insert(items).values(await server.items());
  await server.fill('drizzle_items');
  await server.isDefined('drizzle_items_embedding',
    "engramk (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')");

  const nearest = db.select().from(items).orderBy(cosineDistance(items.embedding, QUERY)).limit(10);
  isNearest(await nearest);
  const { sql, params } = nearest.toSQL();
  await server.isServed('drizzle_items_embedding', sql, params);
});
