import { Client } from 'pg';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { failureOf, runActivity, startActivity, runSql } from '../../../support/postgres';
import type { DatabaseRef } from '../../../../src/contract/place';
import { application, useSwaps } from './swap-world';

const { pg, fence, withCopy, rowsOf, serverOf } = useSwaps();

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
  Object.assign(fence, newer);
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
    Object.assign(fence, newer);
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
