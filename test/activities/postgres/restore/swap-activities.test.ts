import { Client } from 'pg';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { createSwapActivities } from '../../../../src/activities/postgres/restore/swap-activities';
import { editManifest } from '../../../support/damage';
import {
  failureOf,
  runActivity,
  startActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import type { DatabaseRef, Fence } from '../../../../src/contract/place';

let pg: TestPostgres;
let fence: Fence = { target: 'shop/production', token: 100 };
beforeAll(async () => {
  pg = await startTestPostgres({
    settings: { max_prepared_transactions: '5' },
    template: `CREATE TABLE bookings (id serial PRIMARY KEY, note text); INSERT INTO bookings (note) SELECT 'before' FROM generate_series(1, 100)`,
  });
});
afterAll(() => pg.stop());
beforeEach(() => {
  fence = { ...fence, token: fence.token + 1 };
});

/** A live database with one row more than its restored copy. */
async function withCopy() {
  const db = await pg.fresh();
  await db.query(`COMMENT ON DATABASE ${db.name} IS 'the shop'`);
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
  const names = { restored: `${db.name}_restored`, previous: `${db.name}_previous` };
  const into = { ...db.ref, database: names.restored } as DatabaseRef;
  await runActivity(createRestoreActivities(db.deps).restoreBackup, {
    ...db.place,
    backupId: 'b1',
    into,
    fence,
  });
  await db.query(`INSERT INTO bookings (note) VALUES ('after')`);
  return { db, into, act: createSwapActivities(db.deps), input: { ...db.place, ...names, fence } };
}

const rowsOf = async (database: string) =>
  (await runSql<{ count: number }>(pg.urlOf(database), 'SELECT count(*)::int FROM bookings'))[0]?.count;

async function serverOf(db: TestDatabase) {
  const rows = await runSql<{ name: string; open: boolean; comment: string | null }>(
    pg.urlOf('postgres'),
    `SELECT datname AS name, datallowconn AS open, shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname LIKE $1 ORDER BY 1`,
    [`${db.name}%`],
  );
  return Object.fromEntries(
    rows.map(({ name, open, comment }) => [name.replace(db.name, 'db'), { open, comment }]),
  );
}

/** An application that reconnects at once whenever it is thrown out. */
function application(url: string) {
  let running = true;
  let connects = 0;
  const loop = (async () => {
    while (running) {
      const client = new Client({ connectionString: url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        connects += 1;
        while (running) await client.query('SELECT count(*) FROM bookings');
      } catch {
        // Thrown out: at once again.
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  })();
  return {
    connects: () => connects,
    stop: async () => {
      running = false;
      await loop;
    },
  };
}

test('renaming fails while anybody is connected, and the swap does not', async () => {
  const { db, act, input } = await withCopy();
  const app = application(db.url);
  try {
    while (app.connects() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    // The trap: what a script would do.
    await expect(
      runSql(pg.urlOf('postgres'), `ALTER DATABASE ${db.name} RENAME TO elsewhere`),
    ).rejects.toThrow(/being accessed/);
    const connected = app.connects();
    const result = await runActivity(act.swapDatabases, input);
    expect(result).toMatchObject({ live: db.name, previous: input.previous });
    while (app.connects() === connected) await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    await app.stop();
  }
  expect(await rowsOf(db.name)).toBe(100);
  expect(await rowsOf(input.previous)).toBe(101);
  const server = await serverOf(db);
  expect(server).toMatchObject({ db: { open: true, comment: 'the shop' }, db_previous: { open: true } });
  expect(JSON.parse(server['db_previous']!.comment!)).toMatchObject({
    kind: 'previous',
    comment: 'the shop',
  });
  expect(server['db_restored']).toBeUndefined();
});

test('swapping again changes nothing, and swapping back brings the old one back', async () => {
  const { db, act, input } = await withCopy();
  expect(await runActivity(act.readSwapState, input)).toEqual({ swapped: false, sessions: 0 });
  await runActivity(act.swapDatabases, input);
  await runActivity(act.swapDatabases, input, { attempt: 2 });
  expect(await rowsOf(db.name)).toBe(100);
  expect(await runActivity(act.readSwapState, input)).toEqual({ swapped: true, sessions: 0 });
  await runActivity(act.swapBack, input, { activityId: '8' });
  await runActivity(act.swapBack, input, { activityId: '8', attempt: 2 });
  expect(await rowsOf(db.name)).toBe(101);
  expect(await runActivity(act.readSwapState, input)).toEqual({ swapped: false, sessions: 0 });
  const server = await serverOf(db);
  expect(server['db']).toEqual({ open: true, comment: 'the shop' });
  expect(JSON.parse(server['db_restored']!.comment!)).toMatchObject({ kind: 'restored' });
  expect(
    await runActivity(
      createRestoreActivities(db.deps).dropRestored,
      {
        database: { ...db.ref, database: input.restored },
        fence,
      },
      { activityId: '9' },
    ),
  ).toEqual({ dropped: true });
});

describe('wherever it stops, production is open, and it is the old one or the new one', () => {
  /** Breaks the connection, or cancels, when the n-th statement of an activity is sent. */
  const stopAt = (statement: number, how: 'cut' | 'cancel', cancel: () => void) => {
    let sent = 0;
    const query = Client.prototype.query as (...args: unknown[]) => unknown;
    return jest.spyOn(Client.prototype, 'query').mockImplementation(function (
      this: Client,
      ...args: unknown[]
    ) {
      const result = query.apply(this, args);
      sent += 1;
      if (sent === statement && how === 'cancel') cancel();
      if (sent === statement && how === 'cut')
        // After the statement has left: the server does it, and nobody hears.
        setImmediate(() =>
          (this as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy(),
        );
      return result as never;
    });
  };

  test.each(['cut', 'cancel'] as const)('%s at every statement of a swap there and back', async (how) => {
    const { db, act, input } = await withCopy();
    const ways = [
      { there: act.swapDatabases, rows: [101, 100], id: '11' },
      { there: act.swapBack, rows: [100, 101], id: '12' },
    ];
    for (const { there, rows, id } of ways) {
      let swapped = false;
      for (let statement = 1; !swapped; statement += 1) {
        const started: { cancel?: () => void } = {};
        const spy = stopAt(statement, how, () => started.cancel?.());
        const run = startActivity(there, input, { activityId: `${id}-${statement}` });
        started.cancel = run.cancel;
        const failure = await run.result.then(
          () => undefined,
          (error: Error) => error,
        );
        spy.mockRestore();
        const server = await serverOf(db);
        expect([statement, server['db']?.open]).toEqual([statement, true]);
        const now = await rowsOf(db.name);
        expect([statement, rows.includes(now!)]).toEqual([statement, true]);
        if (failure === undefined) swapped = true;
        // It was done, and nobody heard: the next attempt finds it so.
        else if (now === rows[1])
          await runActivity(there, input, { activityId: `${id}-${statement}`, attempt: 2 });
        swapped ||= now === rows[1];
      }
      expect(await rowsOf(db.name)).toBe(rows[1]);
    }
  });

  test('an outage of the server in the middle of it', async () => {
    const { db, act, input } = await withCopy();
    const spy = stopAt(12, 'cancel', () => void pg.server.kill());
    const failure = await failureOf(runActivity(act.swapDatabases, input));
    spy.mockRestore();
    expect(failure.nonRetryable).toBe(false);
    await pg.server.restart();
    expect((await serverOf(db))['db']).toMatchObject({ open: true });
    expect([100, 101]).toContain(await rowsOf(db.name));
    await runActivity(act.swapDatabases, input, { attempt: 2 });
    expect(await rowsOf(db.name)).toBe(100);
  });
});

test('swapping back works although the former database was made read-only for it, and lets it take writes again', async () => {
  const { db, act, input } = await withCopy();
  await runActivity(act.closeToWriters, { ...db.place, fence });
  await runActivity(act.swapDatabases, input, { activityId: '8' });
  expect(
    await runActivity(act.openToWriters, { ...db.place, fence, setting: null }, { activityId: '9' }),
  ).toMatchObject({ takesWrites: true });
  await runActivity(act.swapBack, input, { activityId: '10' });
  await expect(db.query(`INSERT INTO bookings (note) VALUES ('too early')`)).rejects.toThrow(/read-only/);
  expect(
    await runActivity(act.openToWriters, { ...db.place, fence, setting: null }, { activityId: '11' }),
  ).toMatchObject({ takesWrites: true });
  await db.query(`INSERT INTO bookings (note) VALUES ('again')`);
});

test('where there is no live database, the copy takes its name, and going back leaves none', async () => {
  const { db, act, input } = await withCopy();
  await runSql(pg.urlOf('postgres'), `DROP DATABASE ${db.name} WITH (FORCE)`);
  const missing = { ...input, liveMissing: true };
  expect(await runActivity(act.swapDatabases, missing)).toMatchObject({ live: db.name, previous: null });
  await runActivity(act.swapDatabases, missing, { attempt: 2 });
  expect(await rowsOf(db.name)).toBe(100);
  expect(await runActivity(act.readSwapState, missing)).toMatchObject({ swapped: true });
  await runActivity(act.swapBack, missing, { activityId: '8' });
  await runActivity(act.swapBack, missing, { activityId: '8', attempt: 2 });
  expect(await serverOf(db)).toEqual({ db_restored: expect.objectContaining({ open: true }) });
});

test('a live database that came back meanwhile is not taken for the copy', async () => {
  const { db, act, input } = await withCopy();
  const missing = { ...input, liveMissing: true };
  expect((await failureOf(runActivity(act.swapDatabases, missing))).message).toMatch(/again/);
  await runSql(pg.urlOf('postgres'), `DROP DATABASE ${input.restored} WITH (FORCE)`);
  expect((await failureOf(runActivity(act.swapDatabases, missing))).type).toBe('TargetNotOurs');
  expect(await rowsOf(db.name)).toBe(101);
});

test('a swap that a prepared transaction is in the way of says so, and leaves everything as it was', async () => {
  const { db, act, input } = await withCopy();
  const before = await serverOf(db);
  await runSql(
    db.url,
    `BEGIN; INSERT INTO bookings (note) VALUES ('prepared'); PREPARE TRANSACTION 'open_${db.name}'`,
  );
  const failure = await failureOf(runActivity(act.swapDatabases, input));
  expect(failure.message).toMatch(/prepared transaction/);
  expect(await serverOf(db)).toEqual(before);
  expect(await rowsOf(db.name)).toBe(101);
  await db.query(`ROLLBACK PREPARED 'open_${db.name}'`);
});

test('the copy carries the newest token when it becomes live', async () => {
  const { db, act, input } = await withCopy();
  const newer = { ...fence, token: fence.token + 1 };
  await runActivity(act.swapDatabases, { ...input, fence: newer });
  expect(
    await db.query('SELECT token FROM durable_runbooks.fence WHERE target = $1', [fence.target]),
  ).toEqual([{ token: String(newer.token) }]);
  fence = newer;
});

describe('nothing is swapped', () => {
  test('with a token that is no longer the newest, be it only in the maintenance database', async () => {
    const { db, act, input } = await withCopy();
    const newer = { ...fence, token: fence.token + 1 };
    // Another run is at work on this target: it has fenced the server and not yet any copy.
    const database = { ...db.ref, database: `${db.name}_of_the_other` } as DatabaseRef;
    await runActivity(createRestoreActivities(db.deps).dropRestored, { database, fence: newer });
    expect((await failureOf(runActivity(act.swapDatabases, input))).type).toBe('StaleFencingToken');
    expect(await rowsOf(db.name)).toBe(101);
    fence = newer;
  });

  test('while another run holds the advisory lock of the target', async () => {
    const { db, act, input } = await withCopy();
    const holder = new Client({ connectionString: pg.urlOf('postgres') });
    await holder.connect();
    await holder.query(`SELECT pg_advisory_lock(hashtextextended('durable-runbooks:shop/production', 0))`);
    try {
      const failure = await failureOf(runActivity(act.swapDatabases, input));
      expect(failure).toMatchObject({ type: 'LockTimeout', nonRetryable: false });
    } finally {
      await holder.end();
    }
    expect(await rowsOf(db.name)).toBe(101);
  });

  test('for a copy that is only a drill, or that is not ours', async () => {
    const { db, act, input } = await withCopy();
    for (const comment of [`'{"by":"durable-runbooks","kind":"drill"}'`, `'mine'`, 'NULL']) {
      await runSql(pg.urlOf('postgres'), `COMMENT ON DATABASE ${input.restored} IS ${comment}`);
      expect((await failureOf(runActivity(act.swapDatabases, input))).type).toBe('TargetNotOurs');
    }
    expect(await rowsOf(db.name)).toBe(101);
  });

  test('onto a name that is taken', async () => {
    const { db, act, input } = await withCopy();
    await runSql(pg.urlOf('postgres'), `CREATE DATABASE ${input.previous}`);
    expect((await failureOf(runActivity(act.swapDatabases, input))).type).toBe('TargetNotOurs');
    expect(await rowsOf(db.name)).toBe(101);
  });

  test('on another server than the registered one', async () => {
    const { db, act, input } = await withCopy();
    db.deps.config.services['shop']!.environments['production']!.database.identity.systemIdentifier =
      '12345678901';
    expect((await failureOf(runActivity(act.swapDatabases, input))).type).toBe('WrongDatabase');
    expect(await rowsOf(db.name)).toBe(101);
  });
});

describe('what a restore would lose', () => {
  test('is bounded by what was written since', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    const { estimateLostWrites } = createSwapActivities(db.deps);
    await settle();
    const quiet = await runActivity(estimateLostWrites, { ...db.place, backupId: 'b1' });
    // Counters of writes before the backup may have arrived after it: a bound may be too high, never too low.
    expect(quiet!.rowsAtMost).toBeLessThanOrEqual(100);
    await db.query(`INSERT INTO bookings (note) SELECT 'new' FROM generate_series(1, 30)`);
    await db.query(`UPDATE bookings SET note = 'changed' WHERE id <= 20`);
    await db.query(`DELETE FROM bookings WHERE id BETWEEN 21 AND 30`);
    await settle();
    const lost = await runActivity(estimateLostWrites, { ...db.place, backupId: 'b1' });
    expect(lost!.rowsAtMost - quiet!.rowsAtMost).toBe(60);
    expect(lost!.walBytes).toBeGreaterThan(quiet!.walBytes);
    expect(Date.parse(lost!.since)).toBeLessThan(Date.now());
  });

  test('counts a table that was made anew under its name, and all that the old one had', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    await db.query(
      `DROP TABLE bookings; CREATE TABLE bookings (id serial PRIMARY KEY, note text); INSERT INTO bookings (note) SELECT 'x' FROM generate_series(1, 100)`,
    );
    await settle();
    const lost = await runActivity(createSwapActivities(db.deps).estimateLostWrites, {
      ...db.place,
      backupId: 'b1',
    });
    expect(lost!.rowsAtMost).toBeGreaterThanOrEqual(200);
  });

  test('is not known on another server, or on one that was put back in time', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    const { estimateLostWrites } = createSwapActivities(db.deps);
    for (const change of [{ systemIdentifier: '12345678901' }, { lsn: 'FFFF/0' }]) {
      editManifest(`${db.directory}/backups/shop/production/b1`, (manifest) =>
        Object.assign(manifest, change),
      );
      expect(await runActivity(estimateLostWrites, { ...db.place, backupId: 'b1' })).toBeNull();
    }
  });

  test('is bounded by the WAL where the counters were reset', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    await db.query(`INSERT INTO bookings (note) SELECT 'new' FROM generate_series(1, 500)`);
    await settle();
    await db.query('SELECT pg_stat_reset()');
    const lost = await runActivity(createSwapActivities(db.deps).estimateLostWrites, {
      ...db.place,
      backupId: 'b1',
    });
    expect(lost!.rowsAtMost).toBeGreaterThanOrEqual(500);
  });
});

test('a crash, which throws the counters away, does not make lost writes look fewer', async () => {
  const db = await pg.fresh();
  await settle();
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
  await db.query(`INSERT INTO bookings (note) SELECT 'lost' FROM generate_series(1, 5000)`);
  await pg.server.kill();
  await pg.server.restart();
  // More than the counters had when the backup was made: they do not even go backwards.
  await db.query(`INSERT INTO bookings (note) SELECT 'later' FROM generate_series(1, 200)`);
  await settle();
  const lost = await runActivity(createSwapActivities(db.deps).estimateLostWrites, {
    ...db.place,
    backupId: 'b1',
  });
  expect(lost!.rowsAtMost).toBeGreaterThanOrEqual(5200);
});

test('sessions of the live database are counted', async () => {
  const db = await pg.fresh();
  const client = new Client({ connectionString: db.url });
  await client.connect();
  expect(await runActivity(createSwapActivities(db.deps).countSessions, db.place)).toEqual({ sessions: 1 });
  await client.end();
});

/** Counters arrive when a session ends or idles; the sessions of these tests end at once. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 300));
