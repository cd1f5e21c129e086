// node-postgres and postgres.js, with what the package pgvector adds to them: it writes and reads
// the text of a vector.
import pg from 'pg';
import pgvector from 'pgvector/pg';
import postgres from 'postgres';
import { QUERY, check, equal, refused, run, truth } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

const OPERATORS = { cosine: ['<=>', 'vector_cosine_ops'], inner_product: ['<#>', 'vector_ip_ops'], l2: ['<->', 'vector_l2_ops'] };
// The default operator class is not written out.
const written = (opclass) => (opclass === 'vector_l2_ops' ? '' : ` ${opclass}`);
const nearest = (operator, table) => `SELECT id, embedding ${operator} $1 AS distance FROM ${table} ORDER BY embedding ${operator} $1 LIMIT 10`;

await run(async () => {
  const server = await Server.connect();
  const client = new pg.Client();
  await client.connect();
  await pgvector.registerTypes(client);
  const notices = [];
  client.on('notice', (notice) => notices.push(notice.message));
  const rows = async (query, ...parameters) => (await client.query(query, parameters)).rows.map((row) => ({ ...row }));

  // node-postgres
  await client.query('CREATE TABLE pg_items (id bigserial PRIMARY KEY, embedding vector(24))');
  for (const { id, embedding } of await server.items())
    await client.query('INSERT INTO pg_items VALUES ($1, $2)', [id, pgvector.toSql(embedding)]);
  await server.fill('pg_items');
  for (const [name, [operator, opclass]] of Object.entries(OPERATORS)) {
    const index = `pg_items_${name}`;
    await client.query(`CREATE INDEX ${index} ON pg_items USING engramk (embedding ${opclass})`);
    await server.isDefined(index, `engramk (embedding${written(opclass)})`);
    const query = nearest(operator, 'pg_items');
    equal(await rows(query, pgvector.toSql(QUERY)), truth(name), `node-postgres, ${name}`);
    await server.isServed(index, query, [pgvector.toSql(QUERY)]);
  }
  equal(notices, [], 'without parameters of hnsw there is nothing to say');
  const [{ embedding }] = await rows('SELECT embedding FROM pg_items WHERE id = 1');
  equal(embedding, (await server.items())[0].embedding, 'a vector comes back as an array');
  const error = await refused(() => rows(nearest('<=>', 'pg_items'), QUERY));
  equal([error?.code, error?.message.slice(0, 38)], ['22P02', 'invalid input syntax for type vector: '], 'an array without toSql: refused');

  // what has no effect
  await client.query('CREATE INDEX pg_items_hnsw ON pg_items USING engramk (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64)');
  equal(notices, ['storage parameters without effect on an engramk index: "m", "ef_construction"'], 'm and ef_construction: said to have no effect');
  await server.isDefined('pg_items_hnsw', "engramk (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')");
  notices.length = 0;
  await client.query('CREATE INDEX pg_items_lists ON pg_items USING engramk (embedding vector_cosine_ops) WITH (lists = 100)');
  equal(notices, ['storage parameters without effect on an engramk index: "lists"'], 'lists of ivfflat: said to have no effect');
  equal((await refused(() => client.query('CREATE INDEX ON pg_items USING engramk (embedding) WITH (quantizer = 1)')))?.code,
    '22023', 'another parameter: refused');
  await client.query('BEGIN');
  await client.query('SET LOCAL hnsw.ef_search = 1');
  await client.query('SET LOCAL ivfflat.probes = 1');
  equal(await rows(nearest('<=>', 'pg_items'), pgvector.toSql(QUERY)), truth('cosine'), 'the settings of a search change nothing');
  await client.query('COMMIT');
  await client.query('DROP INDEX pg_items_hnsw, pg_items_lists');

  // half precision, as a column and as an expression
  await client.query('CREATE INDEX half_items_pg ON half_items USING engramk (embedding halfvec_cosine_ops)');
  equal(await rows(nearest('<=>', 'half_items'), pgvector.toSql(QUERY)), truth('half_cosine'), 'halfvec');
  await server.isServed('half_items_pg', nearest('<=>', 'half_items'), [pgvector.toSql(QUERY)]);
  await client.query('CREATE INDEX pg_items_half ON pg_items USING engramk ((embedding::halfvec(24)) halfvec_cosine_ops)');
  const half = 'SELECT id FROM pg_items ORDER BY embedding::halfvec(24) <=> $1 LIMIT 10';
  isNearest(await rows(half, pgvector.toSql(QUERY)), 'half_cosine');
  await server.isServed('pg_items_half', half, [pgvector.toSql(QUERY)]);

  // postgres.js: the statement is the one that it prepares
  const sql = postgres({ onnotice: () => {} });
  const text = pgvector.toSql(QUERY);
  const answer = await sql`SELECT id, embedding <=> ${text} AS distance FROM pg_items ORDER BY embedding <=> ${text} LIMIT 10`;
  equal(answer.map((row) => ({ ...row })), truth('cosine'), 'postgres.js');
  check(/<=> \$\d/.test(answer.statement.string), 'postgres.js: the vector is a parameter', answer.statement.string);
  await server.isServed('pg_items_cosine', answer.statement.string, [text, text]);
  await sql.end();
});
