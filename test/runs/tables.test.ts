import { readFileSync, writeFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { Client } from 'pg';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver, type Ended } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
let worker: WorkerProcess;
beforeAll(async () => {
  driver = await startDriver(400, false, {}, { shared_preload_libraries: 'pg_stat_statements' });
  await driver.sql(`
    CREATE EXTENSION pg_stat_statements;
    CREATE TABLE visits (id int PRIMARY KEY, customer_id bigint REFERENCES customers, seen_at timestamptz, code int);
    ALTER TABLE visits OWNER TO booking_owner;
    INSERT INTO visits SELECT i, (SELECT min(id) FROM customers), now() - i * interval '1 minute', i FROM generate_series(1, 40000) i;
    UPDATE visits SET customer_id = NULL WHERE id > 50;
    ALTER TABLE visits SET (autovacuum_enabled = off)`);
  await driver.sql('VACUUM ANALYZE visits');
  configure(driver);
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
});

/** Slow means milliseconds here, and only one table is large enough to be looked at. */
function configure({ stack }: Driver): void {
  const document = parseDocument(readFileSync(stack.configFile, 'utf8'));
  const service = ['services', 'booking'];
  document.setIn([...service, 'tuning'], { slowMs: 0.2, minCalls: 3, minTableRows: 30_000 });
  document.setIn([...service, 'vacuum'], {
    minDeadRows: 5_000,
    lockTimeoutSeconds: 120,
    offPeak: { from: '00:00', to: '00:00' },
  });
  document.setIn([...service, 'environments', 'production', 'application', 'soakSeconds'], 2);
  writeFileSync(stack.configFile, document.toString());
}

const call = async (condition: string): Promise<void> => {
  await driver.sql('SELECT pg_stat_statements_reset()');
  for (let count = 0; count < 5; count += 1) await driver.sql(`SELECT * FROM visits WHERE ${condition}`);
};
const BY_CODE = `code = 77 AND seen_at > '2000-01-01'`;
const indexes = async () =>
  (
    await driver.sql<{ definition: string }>(
      `SELECT pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END AS definition
         FROM pg_index WHERE indrelid = 'visits'::regclass ORDER BY 1`,
    )
  ).map(({ definition }) => definition);
const said = ({ report }: Ended, title: string | RegExp) =>
  report.timeline.filter((entry) => entry.title.match(title) !== null).map(({ detail }) => detail ?? '');

/** A transaction that keeps those waiting who build (ROW EXCLUSIVE), drop (any mode) or vacuum (SHARE ROW EXCLUSIVE). */
async function holdUp(mode = 'ROW EXCLUSIVE'): Promise<() => Promise<void>> {
  const client = new Client({
    connectionString: driver.stack.postgres.url.replace(/\/postgres$/, '/booking_production'),
    application_name: 'nightly report',
  });
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE visits IN ${mode} MODE`);
  return () => client.end();
}

/** Kills the worker while a step runs that waits on the server, lets that go on, and starts another worker. */
async function killedDuring(runbook: string, title: RegExp, activity: string, mode?: string): Promise<Ended> {
  const release = await holdUp(mode);
  const handle = await driver.start(runbook);
  await driver.until(handle, ({ timeline }) =>
    timeline.some((entry) => entry.status === 'running' && title.test(entry.title)),
  );
  for (let waiting = 0; waiting === 0;) {
    const rows = await driver.sql(
      `SELECT FROM pg_stat_activity WHERE query LIKE '${activity}%' AND state = 'active' AND wait_event_type = 'Lock'`,
    );
    waiting = rows.length;
  }
  await worker.kill();
  worker = await startWorkerProcess(driver.stack.configFile);
  await release();
  return driver.end(handle);
}

describe('tuneSlowQueries', () => {
  it('without a backup tries nothing, does nothing, and says so with the statements', async () => {
    await call(BY_CODE);
    const before = await indexes();
    const ended = await driver.run('tuneSlowQueries');
    expect([ended.outcome, ended.message]).toEqual([
      'NOTHING_TO_DO',
      expect.stringMatching(/^no change of the indexes of booking\/production could be shown to help/),
    ]);
    expect(said(ended, 'Not done')).toEqual([
      'there is no backup of booking/production to try an index on: run backUpDatabase, then start again',
      expect.stringMatching(
        /^not tried, and so not done: CREATE INDEX CONCURRENTLY rb_visits_code_seen_at_\w{8} ON public\.visits/,
      ),
      expect.stringMatching(/^not tried, and so not done: CREATE INDEX CONCURRENTLY rb_visits_code_\w{8} /),
    ]);
    expect(await indexes()).toEqual(before);
    expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
  });

  it('observes, and is refused, without any change', async () => {
    const before = await indexes();
    const { outcome, report } = await driver.run('tuneSlowQueries', { mode: 'observe' });
    expect([outcome, report.plan?.actions]).toEqual([
      'OBSERVED',
      [
        expect.objectContaining({
          action: 'create an index',
          detail: expect.stringMatching(
            /\(code, seen_at\);.*; on the copy: statement -?\d+ from a cost of \d+ to \d+$/,
          ),
        }),
      ],
    ]);
    const handle = await driver.start('tuneSlowQueries', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await indexes()).toEqual(before);
  });

  it('takes an index back that is of no use on the live server', async () => {
    const before = await indexes();
    const release = await holdUp();
    const handle = await driver.start('tuneSlowQueries');
    await driver.until(handle, ({ timeline }) =>
      timeline.some(({ title, status }) => status === 'running' && /^Create public/.test(title)),
    );
    await driver.sql(
      'ALTER DATABASE booking_production SET enable_indexscan = off; ALTER DATABASE booking_production SET enable_bitmapscan = off',
    );
    await release();
    const ended = await driver.end(handle);
    await driver.sql('ALTER DATABASE booking_production RESET ALL');
    expect([ended.outcome, ended.message]).toEqual([
      'ROLLED_BACK',
      expect.stringMatching(
        /The plans are as good as on the copy: .*; public\.rb_visits_code_seen_at_\w{8} is of no use here/,
      ),
    ]);
    expect(await indexes()).toEqual(before);
  });

  it('builds the index that was tried, once and whole, also when its worker is killed meanwhile', async () => {
    const ended = await killedDuring('tuneSlowQueries', /^Create public/, 'CREATE INDEX CONCURRENTLY');
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/^booking\/production: created public\.rb_visits_code_seen_at_\w{8}$/),
    ]);
    expect(ended.report.facts).toMatchObject({ indexesCreated: 1, indexesDropped: 0 });
    expect(await indexes()).toEqual([
      expect.stringMatching(
        /^CREATE INDEX rb_visits_code_seen_at_\w{8} ON public\.visits USING btree \(code, seen_at\)$/,
      ),
      expect.stringMatching(/visits_pkey/),
    ]);
    const again = await driver.run('tuneSlowQueries');
    // It is faster now, and still over the limit of this test.
    expect(said(again, 'For people to look at').join('\n')).toMatch(
      /no index was found that helps statement -?\d+: rewrite it, or cache its result\. .*FROM visits WHERE code/,
    );
    const told = driver.stack.inbox.received().map(({ text }) => text);
    expect(told.join('\n')).toMatch(/For people to look at on booking\/production:\n- no index was found/);
    expect([again.outcome, again.message]).toEqual([
      'NOTHING_TO_DO',
      expect.stringMatching(/slow statements?, and no index that would help/),
    ]);
  });
});

describe('reviewIndexes', () => {
  it('observes, and is refused, without any change', async () => {
    await driver.sql('CREATE INDEX twin_a ON visits (seen_at); CREATE INDEX twin_b ON visits (seen_at)');
    const before = await indexes();
    const { outcome, report } = await driver.run('reviewIndexes', { mode: 'observe' });
    expect([outcome, report.plan?.actions.map(({ detail }) => detail)]).toEqual([
      'OBSERVED',
      [
        expect.stringMatching(/^DROP INDEX CONCURRENTLY public\.twin_b; it finds the same as public\.twin_a/),
        expect.stringMatching(
          /^CREATE INDEX CONCURRENTLY rb_visits_customer_id_\w{8} .* foreign key visits_customer_id_fkey to customers has no index/,
        ),
      ],
    ]);
    expect(report.plan?.warnings.join()).toMatch(/no index is called unused before 100 days/);
    const handle = await driver.start('reviewIndexes', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await indexes()).toEqual(before);
  });

  it('changes what it planned, also when its worker is killed while it drops an index', async () => {
    const ended = await killedDuring(
      'reviewIndexes',
      /^Drop public/,
      'DROP INDEX CONCURRENTLY',
      'ACCESS SHARE',
    );
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(
        /^booking\/production: created public\.rb_visits_customer_id_\w{8}; dropped public\.twin_b$/,
      ),
    ]);
    const now = (await indexes()).join('\n');
    expect(now).toMatch(/twin_a/);
    expect(now).not.toMatch(/twin_b|INVALID/);
    expect((await driver.run('reviewIndexes')).outcome).toBe('NOTHING_TO_DO');
  });
});

describe('vacuumBloatedTables', () => {
  const dead = async () => {
    const [row] = await driver.sql<{ dead: number; vacuums: number }>(
      `SELECT n_dead_tup::int AS dead, vacuum_count::int AS vacuums FROM pg_stat_user_tables WHERE relname = 'visits'`,
    );
    return row!;
  };

  it('has nothing to do while few rows are dead; then observes, and is refused, without any change', async () => {
    expect((await driver.run('vacuumBloatedTables')).outcome).toBe('NOTHING_TO_DO');
    await driver.sql('DELETE FROM visits WHERE id > 20000');
    const before = await dead();
    const { outcome, report } = await driver.run('vacuumBloatedTables', { mode: 'observe' });
    expect([outcome, report.plan?.actions]).toEqual([
      'OBSERVED',
      [
        expect.objectContaining({
          action: 'VACUUM (ANALYZE)',
          detail: expect.stringMatching(/^public\.visits, at any time/),
        }),
      ],
    ]);
    const handle = await driver.start('vacuumBloatedTables', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await dead()).toEqual(before);
  });

  it('fails where an older transaction keeps the dead rows, and says so', async () => {
    const reader = new Client({
      connectionString: driver.stack.postgres.url.replace(/\/postgres$/, '/booking_production'),
    });
    await reader.connect();
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    await driver.sql('DELETE FROM visits WHERE id > 10000');
    const { outcome, message } = await driver.run('vacuumBloatedTables');
    await reader.end();
    expect([outcome, message]).toEqual([
      'FAILED',
      expect.stringMatching(/The dead rows of public\.visits are gone: .*a transaction that is older/),
    ]);
  });

  it('vacuums what it planned, also when its worker is killed while it waits for the lock', async () => {
    const ended = await killedDuring(
      'vacuumBloatedTables',
      /^Vacuum public/,
      'VACUUM',
      'SHARE ROW EXCLUSIVE',
    );
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      '1 table of booking/production vacuumed: public.visits',
    ]);
    expect((await dead()).dead).toBe(0);
  });
});
