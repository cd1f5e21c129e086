// Knex, and Objection.js, which builds on it.
import Knex from 'knex';
import { Model } from 'objection';
import pgvector from 'pgvector/knex';
import { cosineDistance } from 'pgvector/objection';
import { QUERY, run } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

await run(async () => {
  const server = await Server.connect();
  const knex = Knex({ client: 'pg', connection: {} });

  await knex.schema.createTable('knex_items', (table) => {
    table.bigint('id').primary();
    table.vector('embedding', 24);
  });
  await knex.schema.alterTable('knex_items', (table) => {
    table.index([knex.raw('embedding vector_cosine_ops')], 'knex_items_embedding', 'engramk');
  });
  const items = await server.items();
  await knex('knex_items').insert(items.map(({ id, embedding }) => ({ id, embedding: pgvector.toSql(embedding) })));
  await server.fill('knex_items');
  await server.isDefined('knex_items_embedding', 'engramk (embedding vector_cosine_ops)');

  const nearest = knex('knex_items').orderBy(knex.cosineDistance('embedding', QUERY)).limit(10);
  isNearest(await nearest);
  const { sql, bindings } = nearest.toSQL().toNative();
  await server.isServed('knex_items_embedding', sql, bindings);

  class Item extends Model {
    static tableName = 'knex_items';
  }
  Item.knex(knex);
  const objects = Item.query().orderBy(cosineDistance('embedding', QUERY)).limit(10);
  isNearest(await objects);
  const sent = objects.toKnexQuery().toSQL().toNative();
  await server.isServed('knex_items_embedding', sent.sql, sent.bindings);
});
