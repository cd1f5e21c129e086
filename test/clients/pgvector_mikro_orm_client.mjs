// MikroORM has no name for the access method of an index, be it hnsw or engramk; an index can be
// an expression, which is the statement itself.
import { EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import { VectorType, cosineDistance } from 'pgvector/mikro-orm';
import { QUERY, run } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

const Item = new EntitySchema({
  name: 'Item',
  tableName: 'mikro_items',
  properties: { id: { type: 'bigint', primary: true }, embedding: { type: VectorType, dimensions: 24 } },
  indexes: [{
    name: 'mikro_items_embedding',
    expression: 'CREATE INDEX mikro_items_embedding ON mikro_items USING engramk (embedding vector_cosine_ops)',
  }],
});

await run(async () => {
  const server = await Server.connect();
  const orm = await MikroORM.init({
    entities: [Item], host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER,
    dbName: process.env.PGDATABASE,
  });
  const em = orm.em.fork();

  await orm.schema.createSchema();
  await em.insertMany(Item, await server.items());
  await server.fill('mikro_items');
  await server.isDefined('mikro_items_embedding', 'engramk (embedding vector_cosine_ops)');

  const nearest = () => em.createQueryBuilder(Item).orderBy({ [cosineDistance('embedding', QUERY)]: 'ASC' }).limit(10);
  isNearest(await nearest().getResult());
  await server.isServed('mikro_items_embedding', nearest().getFormattedQuery());
});
