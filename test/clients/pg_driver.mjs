// node-postgres: an array is sent as the text of an array, whose type the server
// chooses; a Float32Array as its bytes, so make an array of it.
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { ARRIVED, DOMAIN_SCANS, GENERIC, INTEGERS, OPERATORS, QUERY, REFUSED, SCANS,
  check, equal, refused, run, truth } from './common.mjs';

const nearest = (parameter, operator = '<=>', table = 'items') =>
  `SELECT id, embedding ${operator} ${parameter} AS distance FROM ${table}
   ORDER BY embedding ${operator} ${parameter} LIMIT 10`;

await run(async () => {
  const client = new pg.Client();
  await client.connect();
  // A row as the driver makes it, but as a plain object, which the truth is.
  const rows = async (query, ...parameters) =>
    (await client.query(query, parameters)).rows.map((row) => ({ ...row }));
  const value = async (query, ...parameters) => (await rows(query, ...parameters))[0].value;

  // queries
  for (const [name, operator] of Object.entries(OPERATORS)) {
    const before = await value(SCANS);
    equal(await rows(nearest('$1::real[]', operator), QUERY), truth(name), `array, ${name}`);
    equal(await value(SCANS) - before, 1, `array, ${name}: by the index`);
  }
  let before = await value(SCANS);
  equal(await rows(nearest('$1'), QUERY), truth('cosine'), 'array without the cast');
  equal(await rows(nearest('$1::real[]'), INTEGERS), truth('integers'), 'array of integers');
  equal(await rows(nearest('$1'), `{${QUERY}}`), truth('cosine'), 'array literal as a string');
  equal(await rows(nearest("translate($1, '[]', '{}')::real[]"), JSON.stringify(QUERY)), truth('cosine'), 'JSON text');
  equal(await rows(nearest('$1::real[]'), Array.from(Float32Array.from(QUERY))), truth('cosine'), 'array made of a Float32Array');
  equal(await value(SCANS) - before, 5, 'all of these: by the index');
  equal((await refused(() => rows(nearest('$1::real[]'), Float32Array.from(QUERY))))?.code, '22P03', 'Float32Array: refused');
  const error = await refused(() => rows(nearest('$1::double precision[]'), QUERY));
  equal([error?.code, error?.message], ['42883', REFUSED], 'as double precision[]: refused');
  equal(await value('SELECT embedding <=> $1::real[] AS value FROM items WHERE id = 1', null), null, 'NULL gives NULL');

  // filter columns
  await client.query('SET enable_seqscan = off');
  for (const [kind, condition, tenants] of [['tenant', 'tenant_id = $2', 7], ['tenants', 'tenant_id = ANY($2)', [3, 7]]]) {
    const query = `SELECT id, embedding <=> $1::real[] AS distance FROM tenant_items WHERE ${condition} ORDER BY distance LIMIT 10`;
    equal(await rows(query, QUERY, tenants), truth(kind), `filter column, ${condition}`);
    check(JSON.stringify(await rows(`EXPLAIN (FORMAT JSON) ${query}`, QUERY, tenants)).includes('Index Cond'), `${condition}: by the index`);
  }
  await client.query('RESET enable_seqscan');

  // prepared statements, and the plan for any parameter
  before = await value(SCANS);
  const generic = await value(GENERIC);
  const answers = [];
  for (let i = 0; i < 12; i++)
    answers.push((await client.query({ name: 'nearest', text: nearest('$1::real[]'), values: [QUERY] })).rows.map((row) => ({ ...row })));
  equal(answers, Array(12).fill(truth('cosine')), 'prepared');
  check(await value(GENERIC) > generic, 'prepared: planned for any parameter');
  equal(await value(SCANS) - before, 12, 'prepared: by the index each time');

  // rows in and out
  const items = await rows('SELECT id, embedding FROM items');
  await client.query('TRUNCATE added');
  for (const { id, embedding } of items.slice(0, 300))
    await client.query('INSERT INTO added VALUES ($1, $2)', [id, embedding]);
  equal(await value(ARRIVED), 300, 'INSERT');
  await client.query('TRUNCATE added');
  const lines = items.map(({ id, embedding }) => `${id}\t{${embedding}}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom('COPY added FROM STDIN')));
  equal(await value(ARRIVED), 3000, 'COPY, text');
  await client.query('INSERT INTO added VALUES ($1, $2)', [-1, null]);
  equal(await value('SELECT embedding AS value FROM added WHERE id = -1'), null, 'NULL in and out');

  // engram_match[]
  const matches = 'SELECT engram_nearest(id, embedding, $1::real[], 10) AS value FROM items';
  const wanted = truth('cosine').map((row) => ({ query: 1, ...row }));
  equal(await rows(`SELECT m.query, m.id, m.distance FROM unnest((${matches})) AS m`, QUERY), wanted, 'engram_match[]: unnest');
  check((await value(matches, QUERY)).startsWith('{"(1,'), 'engram_match[]: a string');

  // a column whose type is a domain
  before = await value(DOMAIN_SCANS);
  equal(await rows(nearest('$1::real[]', '<=>', 'domain_items'), QUERY), truth('cosine'), 'domain');
  equal(await value(DOMAIN_SCANS) - before, 1, 'domain: by the index');
  equal(await value('INSERT INTO domain_items VALUES ($1, $2) RETURNING embedding AS value', -1, QUERY), QUERY, 'domain: in and out');
  await client.query('DELETE FROM domain_items WHERE id = -1');
  equal((await refused(() => rows('INSERT INTO domain_items VALUES ($1, $2)', -1, QUERY.slice(1))))?.code, '23514',
    'domain: another length refused');
  await client.end();
});
