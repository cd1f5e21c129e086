// LangChain: the statements of PGVectorStore, which node-postgres sends.  From
// langchainjs-community, libs/community/src/vectorstores/pgvector.ts, @langchain/community 1.1.29:
// ensureTableInDatabase, createHnswIndex, searchPostgres.  The package brings 136 MB of others.
import pg from 'pg';
import { QUERY, equal, run, truth } from './common.mjs';
import { Server } from './pgvector_common.mjs';

const table = (name, type) => `
      CREATE TABLE IF NOT EXISTS ${name} (
        "id" uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
        "text" text,
        "metadata" jsonb,
        "embedding" ${type}
      );`;
const index = (name, method, column) => `CREATE INDEX IF NOT EXISTS ${name}_embedding_hnsw_idx
        ON ${name} USING ${method} (${column} vector_cosine_ops)
        WITH (
            m=16,
            ef_construction=64
        );`;
const search = (name) => `
      SELECT *, "embedding" <=> $1 as "_distance"
      FROM ${name}

      ORDER BY "_distance" ASC
      LIMIT $2`;

await run(async () => {
  const server = await Server.connect();
  const pool = new pg.Pool();

  async function store(name, type, column) {
    await pool.query(table(name, type));
    await pool.query(`INSERT INTO ${name} ("text", "embedding") SELECT id::text, embedding FROM items`);
    await pool.query(index(name, 'engramk', column));
    // What LangChain does then: there is an index of that name.
    await pool.query(index(name, 'hnsw', column));
    await pool.query(`ANALYZE ${name}`);
    await server.isDefined(`${name}_embedding_hnsw_idx`,
      "engramk (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')");
    const parameters = [`[${QUERY.join(',')}]`, 10];
    const { rows } = await pool.query(search(name), parameters);
    equal(rows.map((row) => ({ id: row.text, distance: row._distance })), truth('cosine'), `${type}: nearest`);
    await server.isServed(`${name}_embedding_hnsw_idx`, search(name), parameters);
  }
  // LangChain casts the column to the dimensions that it has.
  await store('langchain', 'vector(24)', '(embedding::vector(24))');
  await store('langchain_any', 'vector', 'embedding');
});
