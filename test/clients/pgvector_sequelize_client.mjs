// Sequelize
import sequelizeModule from 'sequelize';
import pgvector from 'pgvector/sequelize';
import { QUERY, run } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

const { Sequelize, DataTypes } = sequelizeModule;

await run(async () => {
  const server = await Server.connect();
  const sent = [];
  pgvector.registerTypes(Sequelize);
  const sequelize = new Sequelize({
    dialect: 'postgres', host: process.env.PGHOST, port: process.env.PGPORT, username: process.env.PGUSER,
    database: process.env.PGDATABASE, logging: (statement) => sent.push(statement.replace(/^Executing \(\w+\): /, '')),
  });
  const Item = sequelize.define('Item', {
    id: { type: DataTypes.BIGINT, primaryKey: true },
    embedding: { type: DataTypes.VECTOR(24) },
  }, {
    tableName: 'sequelize_items', timestamps: false,
    indexes: [{
      name: 'sequelize_items_embedding', fields: ['embedding'], using: 'engramk', operator: 'vector_cosine_ops',
    }],
  });

  await Item.sync();
  await Item.bulkCreate(await server.items());
  await server.fill('sequelize_items');
  await server.isDefined('sequelize_items_embedding', 'engramk (embedding vector_cosine_ops)');

  isNearest(await Item.findAll({ order: pgvector.cosineDistance('embedding', QUERY, sequelize), limit: 10 }));
  await server.isServed('sequelize_items_embedding', sent.pop());
});
