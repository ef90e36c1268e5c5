import type { ChildProcess } from 'node:child_process';
import { Client } from 'pg';
import {
  fenceSession,
  readFence,
  takeFence,
  underFence,
} from '../../../../src/activities/postgres/session/fence';
import { ensureBookkeeping } from '../../../../src/activities/postgres/session/bookkeeping';
import { failureOf, runSql, startTestPostgres, until, type TestDatabase } from '../../../support/postgres';
import { duringTests } from '../../../support/stand-in';
import {
  apply,
  fence,
  hasColumn,
  ledgerOf,
  shopSchema,
  startApply,
  writeMigration,
} from '../migrations/migration-fixtures';
import { startProxy, type Proxy } from './proxy';
import { running, startWorker } from './start-worker';

const server = duringTests(() => startTestPostgres({ template: shopSchema }));

const clients: Client[] = [];
const children: ChildProcess[] = [];
const proxies: Proxy[] = [];
async function connect(database: TestDatabase, name = 'dr:other#1/1'): Promise<Client> {
  const client = new Client({ connectionString: server.urlOf(database.name), application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`SET lock_timeout = '3s'`);
  clients.push(client);
  return client;
}
afterEach(async () => {
  children.splice(0).forEach((child) => child.kill('SIGKILL'));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});

const ADD = 'ALTER TABLE orders ADD COLUMN note text;';

async function fencedDatabase(): Promise<{ shop: TestDatabase; a: Client; b: Client }> {
  const shop = await server.fresh();
  const [a, b] = [await connect(shop, 'dr:a#1/1'), await connect(shop, 'dr:b#1/1')];
  await ensureBookkeeping(a);
  return { shop, a, b };
}

describe('takeFence', () => {
  it('makes an older holder fail that waited while a newer one worked', async () => {
    const { a, b } = await fencedDatabase();
    await a.query('BEGIN');
    await takeFence(a, { target: 't', token: 11 }, 1, 'dr:a#1/1');
    await b.query('BEGIN');
    const waiting = failureOf(takeFence(b, { target: 't', token: 10 }, 1, 'dr:b#1/1'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await a.query('COMMIT');
    expect(await waiting).toMatchObject({ type: 'StaleFencingToken', nonRetryable: true });
    await b.query('ROLLBACK');
    expect(await readFence(a, 't')).toBe(11);
  });

  it('holds the row to the end of the transaction, and calls a busy fence by its own name', async () => {
    const { a, b } = await fencedDatabase();
    await a.query('BEGIN');
    await takeFence(a, { target: 't', token: 10 }, 1, 'dr:a#1/1');
    await b.query(`SET lock_timeout = '200ms'`);
    await b.query('BEGIN');
    expect(await failureOf(takeFence(b, { target: 't', token: 11 }, 1, 'dr:b#1/1'))).toMatchObject({
      type: 'FenceBusy',
      nonRetryable: false,
    });
    await b.query('ROLLBACK');
    await a.query('ROLLBACK');
    await b.query('BEGIN');
    await takeFence(b, { target: 't', token: 1 }, 1, 'dr:b#1/1');
    await b.query('COMMIT');
  });

  it('lets a later attempt of one activity in and keeps the earlier one out', async () => {
    const { a } = await fencedDatabase();
    const take = async (attempt: number, holder: string) => {
      await a.query('BEGIN');
      await takeFence(a, { target: 't', token: 10 }, attempt, holder).finally(() => a.query('COMMIT'));
    };
    await take(1, 'dr:a#7/1');
    await take(2, 'dr:a#7/2');
    expect(await failureOf(take(1, 'dr:a#7/1'))).toMatchObject({ type: 'StaleFencingToken' });
    await take(1, 'dr:a#8/1');
  });
});

describe('underFence', () => {
  const later = { target: 't', token: 11 };

  it('does the work and its fence together, and makes the bookkeeping where it is missing', async () => {
    const shop = await server.fresh();
    const [a, b] = [await connect(shop), await connect(shop)];
    const locked = await underFence(a, later, async () => {
      await a.query(`INSERT INTO customers (name) VALUES ('new 77')`);
      return lockedFence(b);
    });
    expect(locked).toBe(true);
    expect(await lockedFence(b)).toBe(false);
    expect(await shop.query(`SELECT 1 FROM customers WHERE name = 'new 77'`)).toHaveLength(1);
    expect(await readFence(a, 't')).toBe(11);
  });

  it('does nothing for an older holder, and leaves the session usable', async () => {
    const { a, b, shop } = await fencedDatabase();
    await fenceSession(a, later);
    const work = jest.fn(async () => undefined);
    expect(await failureOf(underFence(b, { target: 't', token: 10 }, work))).toMatchObject({
      type: 'StaleFencingToken',
    });
    expect(work).not.toHaveBeenCalled();
    await expect(b.query('SELECT 1')).resolves.toBeDefined();
    expect(await shop.query('SELECT token::int FROM durable_runbooks.fence')).toEqual([{ token: 11 }]);
  });

  it('takes work and fence back when the work fails, and lets its own error out', async () => {
    const { a, shop } = await fencedDatabase();
    const failing = underFence(a, later, async () => {
      await a.query(`INSERT INTO customers (name) VALUES ('new 78')`);
      throw new Error('the work failed');
    });
    await expect(failing).rejects.toThrow('the work failed');
    expect(await readFence(a, 't')).toBe(0);
    expect(await shop.query(`SELECT 1 FROM customers WHERE name = 'new 78'`)).toEqual([]);
  });

  it('keeps the first error when the rollback fails too', async () => {
    const { a } = await fencedDatabase();
    const pid = (await a.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;
    const failing = underFence(a, later, async () => {
      await runSql(server.urlOf('postgres'), 'SELECT pg_terminate_backend($1, 5000)', [pid]);
      throw new Error('the work failed');
    });
    await expect(failing).rejects.toThrow('the work failed');
  });

  it('says that the outcome is unknown when the connection is lost at the COMMIT', async () => {
    const { a } = await fencedDatabase();
    const pid = (await a.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;
    const lost = underFence(a, later, () =>
      runSql(server.urlOf('postgres'), 'SELECT pg_terminate_backend($1, 5000)', [pid]),
    );
    expect(await failureOf(lost)).toMatchObject({
      type: 'DatabaseUnreachable',
      nonRetryable: false,
      details: [{ outcomeUnknown: true }],
    });
  });
});

/** Whether another session holds the row of the fence now. */
async function lockedFence(client: Client): Promise<boolean> {
  const { rows } = await client.query(
    "SELECT 1 FROM durable_runbooks.fence WHERE target = 't' FOR UPDATE SKIP LOCKED",
  );
  return rows.length === 0;
}

describe('applyMigration under the fence', () => {
  it('changes nothing with a stale token', async () => {
    const shop = await server.fresh();
    await apply(shop, writeMigration(shop, '001.sql', ADD), { fence: { ...fence, token: 20 } });
    const second = writeMigration(shop, '002.sql', 'ALTER TABLE orders ADD COLUMN late text;');
    expect(await failureOf(apply(shop, second, { fence: { ...fence, token: 19 } }))).toMatchObject({
      type: 'StaleFencingToken',
    });
    expect(await hasColumn(shop, 'orders', 'late')).toBe(false);
  });

  it('ends the session of its earlier attempt, which still holds fence and locks', async () => {
    const { shop } = await fencedDatabase();
    const ghost = await connect(shop, 'dr:test-run#7/1');
    await ghost.query('BEGIN');
    await takeFence(ghost, fence, 1, 'dr:test-run#7/1');
    await ghost.query('ALTER TABLE orders ADD COLUMN note text');
    const result = await apply(shop, writeMigration(shop, '001.sql', ADD), {}, { attempt: 2 });
    expect(result.alreadyDone).toBe(false);
    await expect(ghost.query('COMMIT')).rejects.toThrow();
    expect(await ledgerOf(shop)).toHaveLength(1);
  });

  it('keeps the ghost of an earlier attempt from redoing what was taken back meanwhile', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', ADD, 'ALTER TABLE orders DROP COLUMN note;');
    await apply(shop, migration, {}, { attempt: 2, activityId: '7' });
    await apply(shop, migration, { direction: 'down' }, { attempt: 1, activityId: '9' });
    expect(await failureOf(apply(shop, migration, {}, { attempt: 1, activityId: '7' }))).toMatchObject({
      type: 'StaleFencingToken',
    });
    expect(await hasColumn(shop, 'orders', 'note')).toBe(false);
  });
});

describe('a connection lost at COMMIT', () => {
  async function throughProxy(lose: 'answer' | 'question') {
    const direct = await server.fresh();
    const proxy = await startProxy(server.server.port, lose);
    proxies.push(proxy);
    const url = new URL(direct.url);
    url.port = String(proxy.port);
    return {
      proxy,
      shop: await server.fresh({
        url: url.href.replace(/shop_\d+$/, `shop_${Number(direct.name.slice(5)) + 1}`),
      }),
    };
  }

  it.each(['answer', 'question'] as const)(
    'is settled by fence and ledger when the %s is lost',
    async (lose) => {
      const { proxy, shop } = await throughProxy(lose);
      const migration = writeMigration(shop, '001.sql', ADD);
      const result = await apply(shop, migration);
      expect(proxy.lost()).toBe(1);
      expect(result.alreadyDone).toBe(false);
      expect(await hasColumn(shop, 'orders', 'note')).toBe(true);
      expect(await ledgerOf(shop)).toEqual([
        { migration: '001.sql', direction: 'up', statement: 0, status: 'finished' },
      ]);
    },
  );
});

describe('a worker killed by SIGKILL', () => {
  const start = (shop: TestDatabase, migration: object) => {
    const child = startWorker(server, shop, migration);
    children.push(child);
    return child;
  };

  it('in the middle of a transaction leaves nothing, and the next attempt applies it once', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', `${ADD}\nSELECT pg_sleep(2.5);`);
    const worker = start(shop, migration);
    await until(running(shop, 'SELECT pg_sleep'), 60_000);
    worker.kill('SIGKILL');
    const result = await apply(shop, migration, {}, { attempt: 2 });
    expect(result.alreadyDone).toBe(false);
    expect(await ledgerOf(shop)).toHaveLength(1);
  });

  it('in the middle of CREATE INDEX CONCURRENTLY: the build goes on, and the next attempt waits for its end', async () => {
    const { shop, migration, holder, index } = await killedWhileBuilding();
    const before = await index();
    const next = startApply(shop, migration, {}, { attempt: 2 });
    await until(() => JSON.stringify(next.beats).includes('the build that an earlier attempt began'));
    await holder.query('COMMIT');
    expect((await next.result).alreadyDone).toBe(false);
    expect(await index()).toEqual({ ...before, valid: true });
    expect((await ledgerOf(shop)).map(({ statement, status }) => [statement, status])).toEqual([
      [1, 'finished'],
      [0, 'finished'],
    ]);
  });

  it('in the middle of CREATE INDEX CONCURRENTLY: a cancellation of the next attempt ends the build', async () => {
    const { shop, migration, holder, index } = await killedWhileBuilding();
    const next = startApply(shop, migration, {}, { attempt: 2 });
    await until(() => JSON.stringify(next.beats).includes('the build that an earlier attempt began'));
    next.cancel();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await holder.query('COMMIT');
    expect((await failureOf(next.result)).name).toBe('CancelledFailure');
    expect(await running(shop, 'CREATE INDEX')()).toBe(false);
    expect(await index()).toBeUndefined();
  });

  /** The build waits for an old snapshot, as it would for a dump. */
  async function killedWhileBuilding() {
    const shop = await server.fresh();
    const text = 'CREATE INDEX CONCURRENTLY orders_total ON orders (total);';
    const migration = writeMigration(shop, '001.sql', text);
    const holder = await connect(shop, 'holder');
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await holder.query('SELECT count(*) FROM orders');
    const worker = start(shop, migration);
    const index = async () =>
      (
        await shop.query<{ oid: number; valid: boolean }>(
          `SELECT indexrelid::int AS oid, indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass('orders_total')`,
        )
      )[0];
    await until(async () => (await index())?.valid === false, 60_000);
    worker.kill('SIGKILL');
    // Longer than a server needs to notice that its client is gone.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await running(shop, 'CREATE INDEX')()).toBe(true);
    return { shop, migration, holder, index };
  }
});
