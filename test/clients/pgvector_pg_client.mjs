// node-postgres and postgres.js, with what the package pgvector adds to them: it writes and reads
// the text of a vector.
import pg from 'pg';
import pgvector from 'pgvector/pg';
import postgres from 'postgres';
import { QUERY, check, equal, refused, run, truth } from './common.mjs';
import { Server, isNearest } from './pgvector_common.mjs';

// The default operator class is not written out in a definition.
const METRICS = {
  cosine: { operator: '<=>', opclass: 'vector_cosine_ops', written: ' vector_cosine_ops' },
  inner_product: { operator: '<#>', opclass: 'vector_ip_ops', written: ' vector_ip_ops' },
  l2: { operator: '<->', opclass: 'vector_l2_ops', written: '' },
};
const TEXT = pgvector.toSql(QUERY);
const NO_EFFECT = 'storage parameters without effect on an engramk index: ';

const nearest = (operator, table = 'pg_items') => `SELECT id, embedding ${operator} $1 AS distance FROM ${table}
  ORDER BY embedding ${operator} $1 LIMIT 10`;
const create = (index, column, parameters = '', table = 'pg_items') =>
  `CREATE INDEX ${index} ON ${table} USING engramk (${column}) ${parameters}`;

async function connect(notices) {
  const client = new pg.Client();
  await client.connect();
  await pgvector.registerTypes(client);
  client.on('notice', (notice) => notices.push(notice.message));
  return client;
}

async function vectors(server, client, notices) {
  await client.query('CREATE TABLE pg_items (id bigserial PRIMARY KEY, embedding vector(24))');
  const items = await server.items();
  for (const { id, embedding } of items)
    await client.query('INSERT INTO pg_items VALUES ($1, $2)', [id, pgvector.toSql(embedding)]);
  await server.fill('pg_items');
  for (const [name, { operator, opclass, written }] of Object.entries(METRICS)) {
    await client.query(create(`pg_items_${name}`, `embedding ${opclass}`));
    await server.isDefined(`pg_items_${name}`, `engramk (embedding${written})`);
    const { rows } = await client.query(nearest(operator), [TEXT]);
    equal(rows.map((row) => ({ ...row })), truth(name), `node-postgres, ${name}`);
    await server.isServed(`pg_items_${name}`, nearest(operator), [TEXT]);
  }
  equal(notices, [], 'an index without parameters: nothing is said');
  const { rows } = await client.query('SELECT embedding FROM pg_items WHERE id = 1');
  equal(rows[0].embedding, items[0].embedding, 'a vector comes back as an array');
  const error = await refused(() => client.query(nearest('<=>'), [QUERY]));
  equal([error?.code, error?.routine], ['22P02', 'vector_in'], 'an array without toSql: refused');
}

// What tunes hnsw and ivfflat, in the definition and in the session.
async function parameters(server, client, notices) {
  await client.query(create('pg_items_hnsw', 'embedding vector_cosine_ops', 'WITH (m = 16, ef_construction = 64)'));
  await server.isDefined('pg_items_hnsw', "engramk (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')");
  await client.query(create('pg_items_ivfflat', 'embedding vector_cosine_ops', 'WITH (lists = 100)'));
  equal(notices, [`${NO_EFFECT}"m", "ef_construction"`, `${NO_EFFECT}"lists"`], 'parameters: said to have no effect');
  const error = await refused(() => client.query(create('pg_items_other', 'embedding', 'WITH (quantizer = 1)')));
  equal(error?.code, '22023', 'another parameter: refused');
  await client.query('BEGIN; SET LOCAL hnsw.ef_search = 1; SET LOCAL ivfflat.probes = 1');
  isNearest((await client.query(nearest('<=>'), [TEXT])).rows);
  await client.query('COMMIT; DROP INDEX pg_items_hnsw, pg_items_ivfflat');
}

async function halves(server, client) {
  await client.query(create('half_items_pg', 'embedding halfvec_cosine_ops', '', 'half_items'));
  const { rows } = await client.query(nearest('<=>', 'half_items'), [TEXT]);
  equal(rows.map((row) => ({ ...row })), truth('half_cosine'), 'halfvec');
  await server.isServed('half_items_pg', nearest('<=>', 'half_items'), [TEXT]);

  await client.query(create('pg_items_half', '(embedding::halfvec(24)) halfvec_cosine_ops'));
  const expression = 'SELECT id FROM pg_items ORDER BY embedding::halfvec(24) <=> $1 LIMIT 10';
  isNearest((await client.query(expression, [TEXT])).rows, 'half_cosine');
  await server.isServed('pg_items_half', expression, [TEXT]);
}

async function postgresJs(server) {
  const sql = postgres();
  const answer = await sql`SELECT id, embedding <=> ${TEXT} AS distance FROM pg_items
    ORDER BY embedding <=> ${TEXT} LIMIT 10`;
  equal(answer.map((row) => ({ ...row })), truth('cosine'), 'postgres.js');
  const sent = answer.statement.string;
  check(sent.includes('ORDER BY embedding <=> $2 LIMIT'), 'postgres.js: the vector is a parameter', sent);
  await server.isServed('pg_items_cosine', sent, [TEXT, TEXT]);
  await sql.end();
}

await run(async () => {
  const notices = [];
  const server = await Server.connect();
  const client = await connect(notices);

  await vectors(server, client, notices);
  await parameters(server, client, notices);
  await halves(server, client);
  await postgresJs(server);
});
