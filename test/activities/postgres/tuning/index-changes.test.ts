import { Client } from 'pg';
import type { IndexChange, IndexReview } from '../../../../src/contract/tuning';
import { failureOf, runActivity, startActivity, until } from '../../../support/postgres';
import {
  call,
  dropOf,
  fence,
  freshTuning,
  indexesOf,
  MANY,
  prove,
  useTuning,
  withTuning,
} from './tuning-world';

const pg = useTuning();

describe('indexes', () => {
  it('that are dropped come back exactly as they were, and what a known statement needs is not dropped', async () => {
    const { db, activities } = await freshTuning(pg, MANY, { maxChanges: 50 });
    const before = await indexesOf(db);
    const { changes } = await runActivity(activities.findIndexProblems, db.place);
    const odd = changes.find(({ index }) => index === 'public."Odd name"')!;
    expect(
      await runActivity(activities.dropIndex, { ...db.place, change: odd, fence: fence() }),
    ).toMatchObject({ changed: true });
    expect(await indexesOf(db)).toHaveLength(before.length - 1);
    await runActivity(activities.buildIndex, { ...db.place, change: odd, fence: fence(), again: true });
    expect(await indexesOf(db)).toEqual(before);
    expect(await db.query(`SELECT obj_description('"Odd name"'::regclass) AS comment`)).toEqual([
      { comment: "it's odd" },
    ]);
    // Somebody begins to use it between the plan and the act.
    await call(
      db,
      'SET enable_seqscan = off; SELECT * FROM orders WHERE code > 19990 ORDER BY code DESC',
      [],
    );
    expect(
      await failureOf(
        runActivity(withTuning(db, { unusedDays: 1 }).dropIndex, {
          ...db.place,
          change: odd,
          fence: fence(2),
        }),
      ),
    ).toMatchObject({ type: 'IndexInUse' });
    const witness = {
      id: '1',
      text: `SELECT * FROM orders WHERE note = $1`,
      tables: ['public.orders'],
      calls: 1,
      meanMs: 1,
    };
    const spare = changes.find(({ index }) => index === 'public.spare')!;
    const review = {
      changes: [spare],
      witnesses: [witness],
      settings: { minGain: 0.3, maxLoss: 0.05 },
      planner: {},
    };
    expect((await prove(db, review as unknown as IndexReview)).proven).toEqual([
      { index: 'public.spare', ok: false, detail: expect.stringMatching(/^statement 1 would cost more/) },
    ]);
  });

  it('that were needless when they were planned stay where they no longer are', async () => {
    const { db, activities } = await freshTuning(
      pg,
      'CREATE INDEX twin_a ON orders (status); CREATE INDEX twin_b ON orders (status); CREATE INDEX broken ON orders (note)',
    );
    await db.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass`);
    const { changes } = await runActivity(activities.findIndexProblems, db.place);
    const planned = (name: string) => changes.find(({ index }) => index === `public.${name}`)!;
    expect([planned('broken').invalid, planned('twin_b').invalid]).toEqual([true, false]);
    const dropping = (name: string) =>
      runActivity(activities.dropIndex, { ...db.place, change: planned(name), fence: fence() });
    await db.query('REINDEX INDEX broken');
    expect(await failureOf(dropping('broken'))).toMatchObject({
      type: 'IndexInUse',
      message: expect.stringContaining('is needed: it is valid by now. It was not dropped.'),
    });
    await db.query('DROP INDEX twin_a');
    expect(await failureOf(dropping('twin_b'))).toMatchObject({
      type: 'IndexInUse',
      message: expect.stringContaining('is needed: no valid index is left that finds the same.'),
    });
    await db.query('CREATE INDEX twin_c ON orders (status)');
    expect(await dropping('twin_b')).toMatchObject({ changed: true });
    await db.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass`);
    expect(await dropping('broken')).toMatchObject({ changed: true });
    expect(await indexesOf(db)).toEqual([
      'CREATE INDEX twin_c ON public.orders USING btree (status)',
      'CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)',
    ]);
  });

  it('that somebody else has dropped or built meanwhile are no business of a run that goes back', async () => {
    const { db, activities } = await freshTuning(pg, 'CREATE INDEX spare ON orders (note)');
    const change = dropOf('spare', 'CREATE INDEX spare ON public.orders USING btree (note)');
    const input = { ...db.place, change, fence: fence() };
    await db.query('DROP INDEX spare');
    expect(await runActivity(activities.dropIndex, input)).toMatchObject({
      changed: false,
      why: 'somebody else has dropped it',
    });
    expect(await runActivity(activities.buildIndex, { ...input, again: true })).toMatchObject({
      changed: false,
      why: 'somebody else has dropped it, so it stays gone',
    });
    await db.query('CREATE INDEX spare ON orders (note)');
    expect(await runActivity(activities.buildIndex, input)).toMatchObject({ changed: false });
    expect(await runActivity(activities.dropIndex, { ...input, ours: true })).toMatchObject({
      changed: false,
      why: 'somebody else has built it, so it stays',
    });
    expect(await indexesOf(db)).toHaveLength(2);
    expect(await runActivity(activities.dropIndex, input)).toMatchObject({ changed: true });
    // The answer was lost.
    expect(await runActivity(activities.dropIndex, input, { attempt: 2 })).toMatchObject({ changed: true });
    expect(
      await runActivity(activities.buildIndex, { ...input, again: true }, { activityId: '8' }),
    ).toMatchObject({
      changed: true,
    });
    expect(await indexesOf(db)).toHaveLength(2);
  });

  it('are left alone when another one has taken the name, and by a run that lost its lease', async () => {
    const { db, activities } = await freshTuning(pg, 'CREATE INDEX spare ON orders (note)');
    const change = dropOf('spare', 'CREATE INDEX spare ON public.orders USING btree (status)');
    expect(
      await failureOf(runActivity(activities.dropIndex, { ...db.place, change, fence: fence() })),
    ).toMatchObject({ type: 'IndexConflict' });
    expect(
      await failureOf(runActivity(activities.buildIndex, { ...db.place, change, fence: fence() })),
    ).toMatchObject({ type: 'IndexConflict' });
    const true_ = dropOf('spare', 'CREATE INDEX spare ON public.orders USING btree (note)');
    await runActivity(activities.buildIndex, { ...db.place, change: true_, fence: fence(9) });
    expect(
      await failureOf(runActivity(activities.dropIndex, { ...db.place, change: true_, fence: fence(8) })),
    ).toMatchObject({ type: 'StaleFencingToken' });
    expect(await indexesOf(db)).toHaveLength(2);
  });
});

it('what an old transaction keeps from being dropped in time is said to be invalid by now', async () => {
  const { db, activities } = await freshTuning(pg, 'CREATE INDEX spare ON orders (note);', {
    buildTimeoutMinutes: 0.06,
  });
  const change = dropOf('spare', 'CREATE INDEX spare ON public.orders USING btree (note)');
  const old = new Client({ connectionString: db.url, application_name: 'nightly report' });
  old.on('error', () => undefined);
  await old.connect();
  await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders');
  expect(
    await failureOf(runActivity(activities.dropIndex, { ...db.place, change, fence: fence() })),
  ).toMatchObject({
    type: 'LockTimeout',
    message: expect.stringMatching(/public\.spare .* is invalid now: .*REINDEX INDEX CONCURRENTLY/),
  });
  await old.end();
});

describe('a build', () => {
  it('that waits for an old transaction is given up in time, names it, and leaves nothing; so does one that is cancelled', async () => {
    const { db, activities } = await freshTuning(pg, '', { buildTimeoutMinutes: 0.06 });
    const change: IndexChange = {
      ...dropOf('late', 'CREATE INDEX late ON public.orders USING btree (note)'),
      kind: 'create',
    };
    const old = new Client({ connectionString: db.url, application_name: 'nightly report' });
    old.on('error', () => undefined);
    await old.connect();
    await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE orders SET note = note WHERE id = 1');
    const failure = await failureOf(
      runActivity(activities.buildIndex, { ...db.place, change, fence: fence() }),
    );
    expect(failure).toMatchObject({
      type: 'LockTimeout',
      message: expect.stringMatching(
        /public\.late .* was not built in time; it waited for pid \d+ \(nightly report\)\. It is left as invalid/,
      ),
    });
    const building = async () =>
      (
        await db.query(
          `SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY later%' AND state = 'active'`,
        )
      ).length > 0;
    const other: IndexChange = {
      ...dropOf('later', 'CREATE INDEX later ON public.orders USING btree (status)'),
      kind: 'create',
    };
    const run = startActivity(activities.buildIndex, { ...db.place, change: other, fence: fence() });
    await until(building);
    run.cancel();
    expect((await failureOf(run.result)).name).toBe('CancelledFailure');
    expect(await building()).toBe(false);
    await old.end();
    // The clean-up of either may have had to wait for that transaction as well.
    await runActivity(activities.buildIndex, { ...db.place, change, fence: fence() });
    expect(await indexesOf(db)).toContain('CREATE INDEX late ON public.orders USING btree (note)');
  });
});
