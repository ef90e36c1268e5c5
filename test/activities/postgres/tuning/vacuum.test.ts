import { Client } from 'pg';
import { offPeakAt } from '../../../../src/activities/postgres/tuning/off-peak';
import { createTuningActivities } from '../../../../src/activities/postgres/tuning/tuning-activities';
import {
  failureOf,
  runActivity,
  startActivity,
  startTestPostgres,
  until,
  type FreshOptions,
  type TestPostgres,
} from '../../../support/postgres';

const ANY_TIME = { from: '00:00', to: '00:00' };
const ALL_BUT_DATE = [
  ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
  ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
];
const fence = (token = 1) => ({ target: 'shop/production', token });

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({
    template: `
      CREATE TABLE bookings (id int PRIMARY KEY, status text, note text);
      INSERT INTO bookings SELECT i, 'new', repeat('x', 100) FROM generate_series(1, 6000) i;
      CREATE TABLE quiet (id int PRIMARY KEY); INSERT INTO quiet SELECT generate_series(1, 100); ANALYZE;`,
    settings: { autovacuum: 'off' },
  });
});
afterAll(() => pg?.stop());

async function fresh(vacuum: Record<string, unknown> = {}, options: FreshOptions = {}) {
  const db = await pg.fresh({
    service: { vacuum: { minDeadRows: 1_000, lockTimeoutSeconds: 0.3, offPeak: ANY_TIME, ...vacuum } },
    ...options,
  });
  await db.query(`DELETE FROM bookings WHERE id % 2 = 0`);
  await until(async () => {
    const [row] = await db.query(
      `SELECT FROM pg_stat_user_tables WHERE relname = 'bookings' AND n_dead_tup >= 3000`,
    );
    return row !== undefined;
  });
  const { findBloatedTables, vacuumTable } = createTuningActivities(db.deps);
  return {
    db,
    find: () => runActivity(findBloatedTables, db.place),
    vacuumTable,
    input: { ...db.place, table: 'public.bookings', fence: fence() },
  };
}

describe('a table with many dead rows', () => {
  it('is found and vacuumed; a second attempt does no harm', async () => {
    const { db, find, vacuumTable, input } = await fresh();
    await db.query('ALTER TABLE bookings SET (autovacuum_enabled = off)');
    const { due, findings, warnings, countedSince } = await find();
    expect(due).toEqual([
      expect.objectContaining({
        table: 'public.bookings',
        deadRows: 3_000,
        autovacuumOff: true,
        lastVacuum: null,
        running: false,
      }),
    ]);
    expect(Date.parse(countedSince)).toBeLessThanOrEqual(Date.now());
    expect(findings).toContain(
      'autovacuum is off for public.bookings: ALTER TABLE public.bookings RESET (autovacuum_enabled);',
    );
    expect(warnings).toContainEqual(expect.stringMatching(/^autovacuum is off on this server/));
    expect(await runActivity(vacuumTable, input)).toMatchObject({
      done: true,
      deadBefore: 3_000,
      deadAfter: 0,
    });
    expect((await find()).due).toEqual([]);
    expect(await runActivity(vacuumTable, input, { attempt: 2 })).toMatchObject({ done: true, deadAfter: 0 });
    expect(await db.query('SELECT count(*)::int AS rows FROM bookings')).toEqual([{ rows: 3_000 }]);
  });

  it('that is over the most of one run is named all the same', async () => {
    const { db, find } = await fresh({ minDeadRows: 100 });
    await db.query('DELETE FROM quiet');
    await until(async () => (await find()).due.length === 2);
    db.deps.config.services['shop']!.maxDestructive = 1;
    const { due, later } = await find();
    expect([due.map(({ table }) => table), later]).toEqual([['public.bookings'], ['public.quiet']]);
  });

  it('of which half seems to be empty is told to people, and never rewritten', async () => {
    const { db, find } = await fresh({ bloatShare: 0.3 });
    await db.query(
      `INSERT INTO bookings SELECT i, 'new', repeat('x', 100) FROM generate_series(10001, 30000) i`,
    );
    await db.query('DELETE FROM bookings WHERE id > 10000');
    await db.query('VACUUM (TRUNCATE false, ANALYZE) bookings');
    const [node] = await db.query(`SELECT pg_relation_filenode('bookings') AS node`);
    expect((await find()).findings).toContainEqual(
      expect.stringMatching(/^public\.bookings seems to be empty by [5-9]\d % \(.*, estimated\)/),
    );
    expect(await db.query(`SELECT pg_relation_filenode('bookings') AS node`)).toEqual([node]);
  });

  it('whose lock somebody has is left alone within the limit, and they are named', async () => {
    const { db, vacuumTable, input } = await fresh();
    const holder = new Client({ connectionString: db.url, application_name: 'migration by hand' });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE bookings IN SHARE ROW EXCLUSIVE MODE');
    const startedAt = Date.now();
    expect(await runActivity(vacuumTable, input)).toMatchObject({
      done: false,
      why: expect.stringMatching(
        /^no lock within 0\.3 s: pid \d+ \(migration by hand\) holds ShareRowExclusiveLock$/,
      ),
    });
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    await holder.end();
  });

  it('that is not done when it is no longer off-peak is ended then', async () => {
    const { db, vacuumTable, input } = await fresh({
      lockTimeoutSeconds: 60,
      offPeak: { from: '01:00', to: '05:00' },
    });
    const holder = new Client({ connectionString: db.url });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE bookings IN SHARE ROW EXCLUSIVE MODE');
    jest.useFakeTimers({ now: new Date('2026-01-15T04:59:59.700Z'), doNotFake: ALL_BUT_DATE });
    try {
      expect(await runActivity(vacuumTable, input)).toMatchObject({
        done: false,
        why: 'not done before it was no longer off-peak (01:00-05:00 UTC)',
      });
    } finally {
      jest.useRealTimers();
      await holder.end();
    }
  });

  it('is really let go of on the server when the run is cancelled', async () => {
    const { db, vacuumTable, input } = await fresh({ lockTimeoutSeconds: 60 });
    const holder = new Client({ connectionString: db.url });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE bookings IN SHARE ROW EXCLUSIVE MODE');
    const vacuuming = async () =>
      (
        await db.query(
          `SELECT FROM pg_stat_activity WHERE query = 'VACUUM (ANALYZE) public.bookings' AND state = 'active'`,
        )
      ).length > 0;
    const run = startActivity(vacuumTable, input);
    await until(vacuuming);
    run.cancel();
    expect((await failureOf(run.result)).name).toBe('CancelledFailure');
    expect(await vacuuming()).toBe(false);
    await holder.end();
    const [state] = await db.query(
      `SELECT vacuum_count::int AS count FROM pg_stat_user_tables WHERE relname = 'bookings'`,
    );
    expect(state).toEqual({ count: 0 });
  });

  it('is not begun when it is not off-peak, by a run that lost its lease, or without the right to', async () => {
    const hour = (more: number) => `${String((new Date().getUTCHours() + more) % 24).padStart(2, '0')}:00`;
    const late = await fresh({ offPeak: { from: hour(3), to: hour(4) } });
    expect(await runActivity(late.vacuumTable, late.input)).toMatchObject({
      done: false,
      why: expect.stringMatching(/^it is not off-peak \(\d\d:00-\d\d:00 UTC\) any more$/),
    });
    const { vacuumTable, input } = await fresh();
    await runActivity(vacuumTable, { ...input, fence: fence(9) });
    expect(await failureOf(runActivity(vacuumTable, { ...input, fence: fence(8) }))).toMatchObject({
      type: 'StaleFencingToken',
    });
    const role = { user: 'stranger', password: 'vacuum-test' };
    const other = await fresh(
      {},
      { role, sql: `CREATE ROLE stranger LOGIN PASSWORD 'vacuum-test'; GRANT pg_read_all_stats TO stranger` },
    );
    await other.db.query(`GRANT CREATE ON DATABASE ${other.db.name} TO stranger`);
    expect(await failureOf(runActivity(other.vacuumTable, other.input))).toMatchObject({
      type: 'MissingPrivilege',
      message: expect.stringMatching(/may not vacuum public\.bookings .* GRANT "postgres" to it/),
    });
  });
});

describe('off-peak', () => {
  const at = (time: string, window: { from: string; to: string; timeZone: string }) =>
    offPeakAt(new Date(`2026-01-15T${time}:30Z`), window);

  it('reaches over midnight, in the time of its own zone', () => {
    const night = { from: '22:00', to: '05:00', timeZone: 'Europe/Berlin' };
    expect(at('23:30', night)).toMatchObject({ open: true, waitMs: 0, window: '22:00-05:00 Europe/Berlin' });
    expect(at('03:59', night)).toMatchObject({ open: true, leftMs: 30_000 });
    expect(at('04:00', night)).toMatchObject({ open: false, waitMs: (17 * 60 - 0.5) * 60_000 });
    expect(at('20:59', night)).toMatchObject({ open: false, waitMs: 30_000 });
    expect(at('21:00', night).open).toBe(true);
  });

  it('is always where its ends are equal', () => {
    expect(at('12:00', { from: '01:00', to: '01:00', timeZone: 'UTC' })).toMatchObject({
      open: true,
      leftMs: null,
      window: 'at any time',
    });
  });
});
