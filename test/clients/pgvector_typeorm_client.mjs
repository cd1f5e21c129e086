// TypeORM has no name for the access method of an index, be it hnsw or engramk, so a migration
// makes it.
import pgvector from 'pgvector';
import typeorm from 'typeorm';
import { QUERY, run } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

const { DataSource, EntitySchema } = typeorm;

class IndexItems {
  name = 'IndexItems1700000000000';

  async up(runner) {
    await runner.query(`CREATE INDEX typeorm_items_embedding ON typeorm_items
      USING engramk (embedding vector_cosine_ops)`);
  }
}

const Item = new EntitySchema({
  name: 'Item',
  tableName: 'typeorm_items',
  columns: { id: { type: 'bigint', primary: true }, embedding: { type: 'vector', length: 24 } },
});

await run(async () => {
  const server = await Server.connect();
  const source = new DataSource({
    type: 'postgres', host: process.env.PGHOST, port: Number(process.env.PGPORT), username: process.env.PGUSER,
    database: process.env.PGDATABASE, entities: [Item], migrations: [IndexItems],
  });
  await source.initialize();

  await source.synchronize();
  await source.runMigrations();
  await source.getRepository(Item).insert(await server.items());
  await server.fill('typeorm_items');
  await server.isDefined('typeorm_items_embedding', 'engramk (embedding vector_cosine_ops)');

  const nearest = source.getRepository(Item).createQueryBuilder('item').orderBy('item.embedding <=> :query')
    .setParameters({ query: pgvector.toSql(QUERY) }).limit(10);
  isNearest(await nearest.getMany());
  await server.isServed('typeorm_items_embedding', ...nearest.getQueryAndParameters());
});
