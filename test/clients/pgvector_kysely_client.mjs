// Kysely
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import pgvector, { cosineDistance } from 'pgvector/kysely';
import { QUERY, run } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

await run(async () => {
  const server = await Server.connect();
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool() }) });

  await db.schema.createTable('kysely_items').addColumn('id', 'bigint', (column) => column.primaryKey())
    .addColumn('embedding', sql`vector(24)`).execute();
  await db.schema.createIndex('kysely_items_embedding').on('kysely_items').using('engramk')
    .expression(sql`embedding vector_cosine_ops`).execute();
  const items = await server.items();
  await db.insertInto('kysely_items')
    .values(items.map(({ id, embedding }) => ({ id, embedding: pgvector.toSql(embedding) }))).execute();
  await server.fill('kysely_items');
  await server.isDefined('kysely_items_embedding', 'engramk (embedding vector_cosine_ops)');

  const nearest = db.selectFrom('kysely_items').selectAll().orderBy(cosineDistance('embedding', QUERY)).limit(10);
  isNearest(await nearest.execute());
  const { sql: sent, parameters } = nearest.compile();
  await server.isServed('kysely_items_embedding', sent, parameters);
});
