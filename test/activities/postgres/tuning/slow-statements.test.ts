import type { ClientBase } from 'pg';
import { readSlowStatements } from '../../../../src/activities/postgres/tuning/slow-statements';
import { createTuningActivities } from '../../../../src/activities/postgres/tuning/tuning-activities';
import { failureOf, runActivity, type TestDatabase } from '../../../support/postgres';
import {
  BY_CUSTOMER,
  call,
  changesOf,
  fence,
  freshTuning,
  indexesOf,
  PASSWORD,
  prove,
  useTuning,
  withTuning,
} from './tuning-world';

// Counted by hand: what is slow depends on no machine.
const COUNTED = `
  CREATE TABLE counted (dbid oid, userid oid DEFAULT 0, queryid bigint, query text, calls bigint, total_exec_time float8);
  INSERT INTO counted (dbid, queryid, query, calls, total_exec_time)
    SELECT d.oid, i, 'SELECT ' || i, 1000000, 9000000 + i FROM pg_database d, generate_series(1, 80) i
     WHERE datname = current_database();`;

const pg = useTuning();

let db: TestDatabase;
beforeAll(async () => {
  db = await pg.fresh({ sql: COUNTED });
});

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

describe('a slow statement', () => {
  it('wants a composite index, which is tried, built, and better on the live server', async () => {
    const { db, activities } = await freshTuning(pg);
    await call(db, BY_CUSTOMER, [7, '2000-01-01']);
    const review = await runActivity(activities.findSlowQueries, db.place);
    expect(review.slow.map(({ text }) => text)).toContain(BY_CUSTOMER);
    expect(review.witnesses).toContainEqual(expect.objectContaining({ text: BY_CUSTOMER, kind: 'read' }));
    expect(changesOf(review)).toEqual([
      expect.stringMatching(
        /^create: CREATE INDEX rb_orders_customer_id_placed_at_\w{8} ON public\.orders USING btree \(customer_id, placed_at\)$/,
      ),
      expect.stringMatching(/^create: .* \(customer_id\)$/),
    ]);
    expect(review.findings).toContainEqual(
      expect.stringMatching(/^public\.orders of about 20000 rows was read by \d+ sequential scans/),
    );
    const proof = await prove(db, review);
    // What the shorter one could still save is nothing.
    expect(proof.proven.map(({ ok }) => ok)).toEqual([true, false]);
    expect(await indexesOf(db)).toHaveLength(1);

    const [change] = review.changes;
    const statements = review.witnesses.filter(({ id }) => change!.helps.includes(id));
    const before = await runActivity(activities.planStatements, { ...db.place, statements });
    expect(
      await runActivity(activities.buildIndex, { ...db.place, change: change!, fence: fence() }),
    ).toMatchObject({ changed: true });
    const after = await runActivity(activities.planStatements, { ...db.place, statements });
    expect(after[0]!.cost).toBeLessThan(before[0]!.cost / 2);
    expect(await indexesOf(db)).toContain(change!.definition);
    // Another attempt finds it, and the way back takes exactly it away.
    expect(
      await runActivity(
        activities.buildIndex,
        { ...db.place, change: change!, fence: fence() },
        { attempt: 2 },
      ),
    ).toMatchObject({ changed: false });
    await runActivity(
      activities.dropIndex,
      { ...db.place, change: change!, fence: fence(), ours: true },
      { activityId: '8' },
    );
    expect(await indexesOf(db)).toHaveLength(1);
    expect((await runActivity(activities.findSlowQueries, db.place)).changes).toHaveLength(2);
  });

  it('is nothing to an index that another statement would pay for', async () => {
    const { db } = await freshTuning(pg);
    await call(db, BY_CUSTOMER, [7, '2000-01-01']);
    const review = await runActivity(createTuningActivities(db.deps).findSlowQueries, db.place);
    const { proven } = await prove(db, { ...review, settings: { ...review.settings, minGain: 0.999_9 } });
    expect(proven.map(({ ok, detail }) => [ok, detail])).toEqual([
      [false, expect.stringMatching(/^it does not save 100 % of any/)],
      [false, expect.stringMatching(/^it does not save 100 % of any/)],
    ]);
  });

  it('of a partitioned table, and a read in a loop, are told to people', async () => {
    const { db, activities } = await freshTuning(
      pg,
      `CREATE TABLE events (id int, kind text, at timestamptz) PARTITION BY RANGE (at);
       CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
       INSERT INTO events SELECT i, 'k' || i, now() FROM generate_series(1, 3000) i; ANALYZE events;`,
      { manyCalls: 20 },
    );
    await call(db, 'SELECT * FROM events WHERE kind = $1', ['k7']);
    const { changes, findings } = await runActivity(activities.findSlowQueries, db.place);
    expect([changes, findings]).toEqual([
      [],
      expect.arrayContaining([
        expect.stringMatching(/^public\.events is partitioned, and an index on \(kind\) is missing/),
      ]),
    ]);
    await call(db, 'SELECT email FROM customers WHERE id = $1', [7], 25);
    const looped = withTuning(db, { slowMs: 1_000 });
    expect((await runActivity(looped.findSlowQueries, db.place)).findings).toContainEqual(
      expect.stringMatching(
        /^perhaps N\+1, one query for each row of another: 25 calls of 1\.0 rows .* SELECT email FROM customers WHERE id = \$1$/,
      ),
    );
  });
});

describe('without pg_stat_statements', () => {
  it('names the statements that enable it, and changes nothing by guesswork', async () => {
    const { db } = await freshTuning(pg);
    await db.query('DROP EXTENSION pg_stat_statements');
    await db.query('CREATE INDEX spare ON orders (note)');
    const review = await runActivity(createTuningActivities(db.deps).findSlowQueries, db.place);
    expect([review.statementsSeen, review.changes]).toEqual([false, []]);
    expect(review.warnings).toContain(
      'pg_stat_statements is not there, so no statement is known. As a superuser: CREATE EXTENSION pg_stat_statements;',
    );
    expect(review.findings).toContainEqual(
      expect.stringMatching(/^public\.spare: no scan of it since .*DROP INDEX CONCURRENTLY public\.spare;$/),
    );
  });

  it('a role that may not see the statistics is refused with the GRANT', async () => {
    const { db } = await freshTuning(
      pg,
      `DO $$ BEGIN CREATE ROLE blind LOGIN PASSWORD '${PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
      {},
      { role: { user: 'blind', password: PASSWORD } },
    );
    const { findSlowQueries } = createTuningActivities(db.deps);
    expect(await failureOf(runActivity(findSlowQueries, db.place))).toMatchObject({
      type: 'MissingPrivilege',
      message: expect.stringContaining('GRANT pg_read_all_stats TO blind;'),
    });
  });
});
