// postgres.js asks the server what a parameter is.  An array needs a type that the
// driver knows as one: real[], not a domain; so ${...}::real[].
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import postgres from 'postgres';
import { ARRIVED, DOMAIN_SCANS, GENERIC, INTEGERS, OPERATORS, QUERY, REFUSED, SCANS,
  check, equal, refused, run, truth } from './common.mjs';

await run(async () => {
  const sql = postgres({ max: 1, onnotice: () => {} });
  const plain = (result) => result.map((row) => ({ ...row }));
  const value = async (query) => (await sql.unsafe(query))[0].value;
  const nearest = async (parameter, operator = sql`<=>`, table = sql`items`) =>
    plain(await sql`SELECT id, embedding ${operator} ${parameter} AS distance FROM ${table}
      ORDER BY embedding ${operator} ${parameter} LIMIT 10`);

  // queries
  for (const [name, operator] of Object.entries(OPERATORS)) {
    const before = await value(SCANS);
    equal(await nearest(sql`${QUERY}::real[]`, sql.unsafe(operator)), truth(name), `array, ${name}`);
    equal(await value(SCANS) - before, 1, `array, ${name}: by the index`);
  }
  let before = await value(SCANS);
  equal(await nearest(sql`${QUERY}`), truth('cosine'), 'array without the cast');
  equal(await nearest(sql`${INTEGERS}::real[]`), truth('integers'), 'array of integers');
  equal(await nearest(sql`translate(${JSON.stringify(QUERY)}, '[]', '{}')::real[]`), truth('cosine'), 'JSON text');
  equal(await nearest(sql`${Array.from(Float32Array.from(QUERY))}::real[]`), truth('cosine'), 'array made of a Float32Array');
  equal(await value(SCANS) - before, 4, 'all of these: by the index');
  check(await refused(() => nearest(sql`${Float32Array.from(QUERY)}::real[]`)), 'Float32Array: refused');
  const error = await refused(() => nearest(sql`${QUERY}::double precision[]`));
  equal([error?.code, error?.message], ['42883', REFUSED], 'as double precision[]: refused');
  equal((await sql`SELECT embedding <=> ${null}::real[] AS value FROM items WHERE id = 1`)[0].value, null, 'NULL gives NULL');

  // prepared statements, and the plan for any parameter
  before = await value(SCANS);
  const generic = await value(GENERIC);
  const answers = [];
  for (let i = 0; i < 12; i++)
    answers.push(await nearest(sql`${QUERY}::real[]`));
  equal(answers, Array(12).fill(truth('cosine')), 'prepared');
  check(await value(GENERIC) > generic, 'prepared: planned for any parameter');
  equal(await value(SCANS) - before, 12, 'prepared: by the index each time');

  // rows in and out
  const items = plain(await sql`SELECT id, embedding FROM items`);
  await sql`TRUNCATE added`;
  for (const { id, embedding } of items.slice(0, 300))
    await sql`INSERT INTO added VALUES (${id}, ${embedding})`;
  equal(await value(ARRIVED), 300, 'INSERT');
  await sql`TRUNCATE added`;
  const lines = items.map(({ id, embedding }) => `${id}\t{${embedding}}\n`);
  await pipeline(Readable.from(lines), await sql`COPY added FROM STDIN`.writable());
  equal(await value(ARRIVED), 3000, 'COPY, text');
  await sql`INSERT INTO added VALUES (-1, ${null})`;
  equal(await value('SELECT embedding AS value FROM added WHERE id = -1'), null, 'NULL in and out');

  // engram_match[]
  const matches = sql`SELECT engram_nearest(id, embedding, ${QUERY}::real[], 10) AS value FROM items`;
  const wanted = truth('cosine').map((row) => ({ query: 1, ...row }));
  equal(plain(await sql`SELECT m.query, m.id, m.distance FROM unnest((${matches})) AS m`), wanted, 'engram_match[]: unnest');
  check((await matches)[0].value[0].startsWith('(1,'), 'engram_match[]: strings');

  // a column whose type is a domain
  before = await value(DOMAIN_SCANS);
  equal(await nearest(sql`${QUERY}::real[]`, sql`<=>`, sql`domain_items`), truth('cosine'), 'domain');
  equal(await value(DOMAIN_SCANS) - before, 1, 'domain: by the index');
  equal((await refused(() => sql`INSERT INTO domain_items VALUES (-1, ${QUERY})`))?.code, '22P02',
    'domain, INSERT without the cast: refused');
  equal((await sql`INSERT INTO domain_items VALUES (-1, ${QUERY}::real[]) RETURNING embedding`)[0].embedding, QUERY,
    'domain: in and out');
  await sql`DELETE FROM domain_items WHERE id = -1`;
  equal((await refused(() => sql`INSERT INTO domain_items VALUES (-1, ${QUERY.slice(1)}::real[])`))?.code, '23514',
    'domain: another length refused');
  await sql.end();
});
