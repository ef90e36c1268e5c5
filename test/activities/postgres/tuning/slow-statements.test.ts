import type { ClientBase } from 'pg';
import { readSlowStatements } from '../../../../src/activities/postgres/tuning/slow-statements';
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../../../support/postgres';

// Counted by hand: what is slow depends on no machine.
const COUNTED = `
  CREATE TABLE counted (dbid oid, userid oid DEFAULT 0, queryid bigint, query text, calls bigint, total_exec_time float8);
  INSERT INTO counted (dbid, queryid, query, calls, total_exec_time)
    SELECT d.oid, i, 'SELECT ' || i, 1000000, 9000000 + i FROM pg_database d, generate_series(1, 80) i
     WHERE datname = current_database();`;

let pg: TestPostgres;
let db: TestDatabase;
beforeAll(async () => {
  pg = await startTestPostgres();
  db = await pg.fresh({ sql: COUNTED });
});
afterAll(() => pg?.stop());

const read = (before?: Parameters<typeof readSlowStatements>[2]) => {
  const query = async (text: string, values?: unknown[]) => ({
    rows: text.includes('pg_extension')
      ? [{ view: 'counted', preloaded: true, preload: null }]
      : await db.query(text, values),
  });
  return readSlowStatements({ query } as unknown as ClientBase, 500, before);
};
const count = (id: number, calls: number, totalMs: number) =>
  db.query(
    `INSERT INTO counted (dbid, queryid, query, calls, total_exec_time)
     SELECT oid, $1::bigint, 'SELECT slowly', $2::bigint, $3::float8 FROM pg_database WHERE datname = current_database()`,
    [id, calls, totalMs],
  );

it('finds a statement that is new and slow beside those that took most of the time for months', async () => {
  const first = await read();
  expect(first.slow).toEqual([]);
  await count(500, 10, 80_000);
  const second = await read(first.counted);
  expect(second.slow).toEqual([{ id: '500', calls: 10, meanMs: 8_000, query: 'SELECT slowly' }]);
  expect((await read(second.counted)).slow).toEqual([]);
});
