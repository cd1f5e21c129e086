// What the tests of pgvector's clients in Node.js share: a connection beside the client's, which
// fills the client's table, and looks at what the client made and sent.
import pg from 'pg';
import { check, equal, truth } from './common.mjs';

const INSERTED = 100;

export class Server {
  static async connect() {
    const server = new Server();
    server.client = new pg.Client();
    await server.client.connect();
    return server;
  }

  async rows(query, ...parameters) {
    return (await this.client.query(query, parameters)).rows.map((row) => ({ ...row }));
  }

  // What the client inserts itself.
  async items() {
    return this.rows('SELECT id::int, embedding::real[] FROM items WHERE id <= $1 ORDER BY id', INSERTED);
  }

  // The rows that the client has not inserted.
  async fill(table) {
    const arrived = await this.rows(`SELECT count(*)::int AS value FROM ${table} AS t JOIN items AS i USING (id)
      WHERE t.embedding = i.embedding`);
    equal(arrived, [{ value: INSERTED }], 'inserted, every bit of every element');
    await this.rows(`INSERT INTO ${table} (id, embedding) SELECT id, embedding FROM items WHERE id > $1`, INSERTED);
    await this.rows(`ANALYZE ${table}`);
  }

  async isDefined(index, wanted) {
    const [{ value }] = await this.rows('SELECT pg_get_indexdef($1::regclass) AS value', index);
    equal(value.replace(/^.* USING /, ''), wanted, `${index}: its definition`);
  }

  async isServed(index, sql, parameters = []) {
    const plan = (await this.rows(`EXPLAIN ${sql}`, ...parameters)).map((row) => row['QUERY PLAN']).join('\n');
    check(plan.includes(`Index Scan using ${index} on `), `${index}: serves the statement as it was sent`, sql, plan);
  }
}

export function isNearest(rows, kind = 'cosine') {
  equal(rows.map((row) => String(row.id)), truth(kind).map((row) => row.id), `nearest, ${kind}`);
}
