import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runActivity, until, type TestPostgres } from '../../../support/postgres';
import { openSessions, PASSWORD, pidOf, startSessionServer, type Sessions } from './connections-fixtures';

let pg: TestPostgres;
let sessions: Sessions;
const children: ChildProcess[] = [];
beforeAll(async () => {
  pg = await startSessionServer();
  sessions = await openSessions(pg, 'runbooks_root');
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await sessions?.close();
});
afterAll(() => pg?.stop());

/** Selects `pid` beside a session that may be ended, as a plan made elsewhere might: only the other one ends. */
async function expectSpared(pid: number): Promise<void> {
  const victim = pidOf(await sessions.forget('shop_app'));
  const wanted = [await sessions.refOf(pid), await sessions.overLimit(victim)];
  expect(await sessions.terminate(wanted)).toEqual([victim]);
  expect(await Promise.all(wanted.map(sessions.alive))).toEqual([true, false]);
}

const leftAlone = async (pid: number) => {
  const facts = await runActivity(sessions.activities.readConnections, sessions.db.place);
  expect(facts.offenders.map((one) => one.pid)).not.toContain(pid);
  return facts.leftAlone.find((one) => one.pid === pid)?.untouchable;
};

describe('a session that is over its limit is never ended when it is', () => {
  // First: the launcher finds the only database sooner.
  it('autovacuum', async () => {
    await sessions.db.query(
      `INSERT INTO orders SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i; UPDATE orders SET note = note`,
    );
    const pid = await until(async () => {
      const [row] = await sessions.db.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = current_database()
            AND query LIKE '%orders%'`,
      );
      return row?.pid;
    });
    await sessions.overLimit(pid);
    expect(await leftAlone(pid)).toBe('autovacuum worker');
    await expectSpared(pid);
  });

  it.each([
    ['of a superuser', 'dba', 'psql', 'superuser'],
    ['of a protected user', 'shop_report', 'report', 'protected user'],
    ['of a protected application', 'shop_app', 'payroll', 'protected application'],
    ['of a role for replication', 'shop_replica', 'debezium', 'replication'],
    ['a backup', 'shop_app', 'pg_dump', 'backup or maintenance'],
    ['a backup of another tool', 'shop_app', 'pgBackRest [backup]', 'backup or maintenance'],
  ])('%s', async (_, role, application, reason) => {
    const pid = pidOf(await sessions.forget(role, application));
    await sessions.overLimit(pid);
    expect(await leftAlone(pid)).toBe(reason);
    await expectSpared(pid);
  });

  it.each([
    ["the runbooks' own role, whatever it is called", 'runbooks_root', 'prisma'],
    ['a run of a runbook under another role', 'shop_app', 'dr:migrateDatabase/shop/1#7/1'],
  ])('of %s', async (_, role, application) => {
    const pid = pidOf(await sessions.forget(role, application));
    await until(async () => {
      const [row] = await sessions.db.query(
        `SELECT FROM pg_stat_activity WHERE pid = ${pid} AND state_change < now() - interval '0.3 s'`,
      );
      return row !== undefined;
    });
    expect(await leftAlone(pid)).toBeUndefined();
    await expectSpared(pid);
  });

  it('a session of the replication protocol', async () => {
    const client = await sessions.forget('shop_replica', 'subscriber', { replication: 'database' });
    const [row] = await sessions.db.query(
      `SELECT backend_type FROM pg_stat_activity WHERE pid = ${pidOf(client)}`,
    );
    expect(row).toEqual({ backend_type: 'walsender' });
    await sessions.overLimit(pidOf(client));
    expect(await leftAlone(pidOf(client))).toBe('walsender');
    await expectSpared(pidOf(client));
  });

  it('pg_receivewal', async () => {
    const directory = join(pg.directory, 'wal');
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    const url = pg.urlOf('postgres', { user: 'shop_replica', password: PASSWORD });
    children.push(
      spawn(join(pg.server.binDirectory, 'pg_receivewal'), ['-D', directory, '-d', url, '--no-loop'], {
        stdio: 'ignore',
      }),
    );
    const pid = await until(async () => {
      const [row] = await sessions.db.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid)
          WHERE r.state = 'streaming' AND a.state = 'active' AND a.query_start < clock_timestamp() - interval '0.5 s'`,
      );
      return row?.pid;
    });
    await expectSpared(pid);
  });

  it('building an index', async () => {
    await sessions.db.query(
      'CREATE TABLE parts AS SELECT 1 AS id; ALTER TABLE parts OWNER TO shop_app; GRANT CREATE ON SCHEMA public TO shop_app',
    );
    const blocker = await sessions.forget('shop_app', 'payroll');
    await blocker.query('UPDATE parts SET id = id');
    const builder = await sessions.open('shop_app', 'by hand');
    // Waits for the transaction before.
    builder.query('CREATE INDEX CONCURRENTLY by_id ON parts (id)').catch(() => undefined);
    await sessions.overLimit(pidOf(builder));
    expect(await leftAlone(pidOf(builder))).toBe('backup or maintenance');
    await expectSpared(pidOf(builder));
  });
});

it('a session of another database is neither seen nor ended', async () => {
  const other = await openSessions(pg, 'runbooks_root');
  try {
    const pid = pidOf(await other.forget('shop_app'));
    await other.overLimit(pid);
    expect(await leftAlone(pid)).toBeUndefined();
    await expectSpared(pid);
  } finally {
    await other.close();
  }
});

it('a prepared transaction is counted and kept', async () => {
  const preparer = await sessions.forget('shop_app');
  await preparer.query('UPDATE orders SET note = note WHERE id = 1');
  await preparer.query(`PREPARE TRANSACTION 'two phases'`);
  await preparer.query('BEGIN');
  const ref = await sessions.overLimit(pidOf(preparer));
  expect(await sessions.terminate([ref])).toEqual([ref.pid]);
  const facts = await runActivity(sessions.activities.readConnections, sessions.db.place);
  expect(facts).toMatchObject({ preparedTransactions: 1, preparedNames: ['two phases'] });
  await sessions.db.query(`ROLLBACK PREPARED 'two phases'`);
});
