// What the tests of the Node.js drivers share: checks in TAP, and the truth, which
// is what psql found without an index (truth.sql).  Distances are compared with ===.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

export const QUERY = [0.1, -0.27, 0.333, -0.45, 0.5, 0.61, -0.7, 0.8, -0.99, 1.1, 0.12, -0.13,
  0.14, 0.15, -0.16, 0.17, 0.18, -0.19, 0.2, 0.21, -0.22, 0.23, 0.24, 1e-3];
export const INTEGERS = [1, -2, 3, -4, 5, 6, -7, 8, -9, 1, 1, -1, 1, 1, -1, 1, 1, -1, 2, 2, -2, 2, 2, 300];
export const OPERATORS = { cosine: '<=>', inner_product: '<#>', l2: '<->' };
export const REFUSED = 'operator does not exist: real[] <=> double precision[]';
export const SCANS = "SELECT sum(scans)::int AS value FROM engram_stat_indexes WHERE indexrelname = 'items_embedding'";
export const DOMAIN_SCANS = SCANS.replace('items_emb', 'domain_items_emb');
// What came in as it was sent: every bit of every element.
export const ARRIVED = `SELECT count(*)::int AS value FROM added AS a JOIN items AS i USING (id)
  WHERE a.embedding = i.embedding`;
// Prepared by the driver, and planned for any parameter.
export const GENERIC = `SELECT coalesce(sum(generic_plans), 0)::int AS value FROM pg_prepared_statements
  WHERE statement ~ 'ORDER BY' AND statement !~ 'pg_prepared'`;

// The ten neighbours of a kind.  Both drivers give bigint as a string.
export function truth(kind) {
  return readFileSync(process.env.TRUTH, 'utf8').split('\n').map((line) => line.split('|'))
    .filter((row) => row[0] === kind)
    .map((row) => ({ id: row[1], distance: Number(row[2]) }));
}

let checks = 0;

export function check(passed, name, ...why) {
  checks++;
  console.log(`${passed ? 'ok' : 'not ok'} ${checks} - ${name}`);
  if (!passed)
    for (const line of why.join('\n').split('\n')) console.log(`# ${line.slice(0, 500)}`);
}

export function equal(found, wanted, name) {
  check(isDeepStrictEqual(found, wanted), name, `found ${JSON.stringify(found)}`, `wanted ${JSON.stringify(wanted)}`);
}

// The error of a query, or undefined.
export async function refused(query) {
  try {
    await query();
  } catch (error) {
    return error;
  }
}

// Runs main, which makes the checks; what it throws is a failure.
export async function run(main) {
  const error = await refused(main);
  if (error) check(false, 'no exception', error.stack);
  console.log(`1..${checks}`);
  process.exit();
}
