import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { proveIndexes } from '../../../../src/activities/postgres/tuning/prove-indexes';
import { createTuningActivities } from '../../../../src/activities/postgres/tuning/tuning-activities';
import { unusedIndexes } from '../../../../src/activities/postgres/tuning/spare-indexes';
import type { TuningConfig } from '../../../../src/config/tuning-schema';
import type { IndexChange, IndexReview } from '../../../../src/contract/tuning';
import {
  failureOf,
  runActivity,
  startActivity,
  startTestPostgres,
  until,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';

const PASSWORD = 'tuning-test';
const TEMPLATE = `
  CREATE ROLE runbooks LOGIN SUPERUSER PASSWORD '${PASSWORD}';
  CREATE EXTENSION pg_stat_statements;
  CREATE TABLE customers (id int PRIMARY KEY, email text);
  CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, status text, placed_at timestamptz, note text);
  INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 500) i;
  INSERT INTO orders SELECT i, i % 500 + 1, (ARRAY['new', 'paid', 'sent'])[i % 3 + 1], now() - i * interval '1 minute', repeat('x', 60) || i
    FROM generate_series(1, 20000) i;
  ANALYZE;`;
const BY_CUSTOMER = `SELECT * FROM orders o WHERE o.customer_id = $1 AND o.placed_at > $2`;

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({
    template: TEMPLATE,
    settings: { shared_preload_libraries: 'pg_stat_statements', autovacuum: 'off' },
  });
});
afterAll(() => pg?.stop());

type Tuning = Partial<TuningConfig>;
const NOW: Tuning = { slowMs: 0.001, minCalls: 2, minTableRows: 1_000, unusedDays: 0.000_001 };

async function fresh(sql = '', tuning: Tuning = {}, options: FreshOptions = {}) {
  const db = await pg.fresh({
    sql,
    role: { user: 'runbooks', password: PASSWORD },
    service: { tuning: { ...NOW, ...tuning } },
    ...options,
  });
  await db.query('SELECT pg_stat_statements_reset()');
  return { db, activities: createTuningActivities(db.deps) };
}

/** The same under other limits. */
function withTuning({ deps: { config } }: TestDatabase, tuning: Tuning) {
  const shop = config.services['shop']!;
  return createTuningActivities({
    config: { ...config, services: { shop: { ...shop, tuning: { ...shop.tuning, ...tuning } } } },
  });
}

/** Calls a statement as an application does, with parameters. */
async function call(db: TestDatabase, text: string, values: unknown[], times = 3): Promise<void> {
  for (let count = 0; count < times; count += 1) await db.query(text, values);
}

const changesOf = ({ changes }: IndexReview) =>
  changes.map(({ kind, definition }) => `${kind}: ${definition}`);
const fence = (token = 1) => ({ target: 'shop/production', token });
const indexesOf = async (db: TestDatabase) =>
  (
    await db.query<{ definition: string }>(
      `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = 'orders'::regclass ORDER BY 1`,
    )
  ).map(({ definition }) => definition);
const dropOf = (name: string, definition: string): IndexChange => ({
  ...{ kind: 'drop', index: `public.${name}`, table: 'public.orders', definition, why: '', bytes: 0 },
  ...{ helps: [], tablespace: null, comment: null },
});

describe('a slow statement', () => {
  it('wants a composite index, which is tried, built, and better on the live server', async () => {
    const { db, activities } = await fresh();
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
    const { db } = await fresh();
    await call(db, BY_CUSTOMER, [7, '2000-01-01']);
    const review = await runActivity(createTuningActivities(db.deps).findSlowQueries, db.place);
    const { proven } = await prove(db, { ...review, settings: { ...review.settings, minGain: 0.999_9 } });
    expect(proven.map(({ ok, detail }) => [ok, detail])).toEqual([
      [false, expect.stringMatching(/^it does not save 100 % of any/)],
      [false, expect.stringMatching(/^it does not save 100 % of any/)],
    ]);
  });

  it('of a partitioned table, and a read in a loop, are told to people', async () => {
    const { db, activities } = await fresh(
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

/** On the same database in the place of a copy: the trial leaves nothing. */
async function prove(db: TestDatabase, review: IndexReview) {
  const client = new Client({ connectionString: db.url });
  await client.connect();
  try {
    return await proveIndexes(client, review, () => undefined);
  } finally {
    await client.end();
  }
}

describe('without pg_stat_statements', () => {
  it('names the statements that enable it, and changes nothing by guesswork', async () => {
    const { db } = await fresh();
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
    const { db } = await fresh(
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

const MANY = `
  CREATE INDEX spare ON orders (note);
  CREATE INDEX twin_a ON orders (status); CREATE INDEX twin_b ON orders (status);
  CREATE INDEX like_the_key ON orders (id); CREATE INDEX longer ON orders (status, placed_at);
  CREATE UNIQUE INDEX apart ON orders (id, status);
  CREATE INDEX by_expression ON orders (lower(note));
  ALTER TABLE orders ADD COLUMN code int; UPDATE orders SET code = id; ALTER TABLE orders ALTER code SET NOT NULL;
  CREATE UNIQUE INDEX identity ON orders (code); ALTER TABLE orders REPLICA IDENTITY USING INDEX identity;
  CREATE INDEX part ON orders (placed_at) WHERE status = 'new';
  CREATE INDEX clustered ON orders (placed_at, code); ALTER TABLE orders CLUSTER ON clustered;
  CREATE INDEX "Odd name" ON orders (code DESC) WITH (fillfactor = 70);
  COMMENT ON INDEX "Odd name" IS 'it''s odd'; ANALYZE orders;`;

describe('the indexes', () => {
  it('that enforce, back or serve something are never among those that may go', async () => {
    const { db, activities } = await fresh(MANY, { maxChanges: 50 });
    await db.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'longer'::regclass`);
    const { changes, findings } = await runActivity(activities.findIndexProblems, db.place);
    expect(changes.map(({ kind, index, why }) => [kind, index, why])).toEqual([
      ['drop', 'public.longer', expect.stringMatching(/^it is invalid/)],
      ['drop', 'public.like_the_key', 'it finds the same as public.orders_pkey'],
      ['drop', 'public.twin_b', 'it finds the same as public.twin_a'],
      [
        'create',
        expect.stringMatching(/rb_orders_customer_id/),
        expect.stringMatching(/^foreign key orders_customer_id_fkey to customers has no index/),
      ],
      ['drop', 'public."Odd name"', expect.stringMatching(/^no scan of it since 20/)],
      ['drop', 'public.part', expect.anything()],
      ['drop', 'public.spare', expect.anything()],
    ]);
    expect(findings.join('\n')).toMatch(
      /by_expression .* stays though it is not used: the planner estimates by the statistics of its expression/,
    );
    expect(findings.join('\n')).toMatch(/clustered .* stays though it is not used: CLUSTER goes by it/);
    await db.query(`UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'longer'::regclass`);
    expect((await runActivity(activities.findIndexProblems, db.place)).findings.join('\n')).toMatch(
      /public\.twin_a \(.*\) is the beginning of public\.longer/,
    );
  });

  it('that are equal never go both: the one that is scanned stays, and the copy is without the other as well', async () => {
    const { db, activities } = await fresh(
      'CREATE INDEX twin_a ON orders (status); CREATE INDEX twin_b ON orders (status)',
      { minTableRows: 1e9, unusedDays: 0.000_001 },
    );
    const first = await runActivity(activities.findIndexProblems, db.place);
    expect(first.changes.map(({ index, why }) => [index, why])).toEqual([
      ['public.twin_b', 'it finds the same as public.twin_a'],
    ]);
    const client = new Client({ connectionString: db.url });
    await client.connect();
    await client.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'twin_a'::regclass`);
    await client.query(`SET enable_seqscan = off; SELECT count(*) FROM orders WHERE status = 'new'`);
    await client.query(`UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'twin_a'::regclass`);
    await client.end();
    await until(async () => {
      const [row] = await db.query(
        `SELECT FROM pg_stat_user_indexes WHERE indexrelname = 'twin_b' AND idx_scan > 0`,
      );
      return row !== undefined;
    });
    const second = await runActivity(activities.findIndexProblems, db.place);
    expect(second.changes.map(({ index, why }) => [index, why])).toEqual([
      ['public.twin_a', 'it finds the same as public.twin_b'],
    ]);
    const witness = { id: '1', text: 'SELECT * FROM orders WHERE status = $1', calls: 1, meanMs: 1 };
    const other = dropOf('twin_b', 'CREATE INDEX twin_b ON public.orders USING btree (status)');
    const both = {
      changes: [second.changes[0]!, other],
      witnesses: [{ ...witness, tables: ['public.orders'] }],
      settings: { minGain: 0.3, maxLoss: 0.05 },
      planner: { enable_seqscan: 'off' },
    };
    expect((await prove(db, both as unknown as IndexReview)).proven).toEqual([
      { index: 'public.twin_b', ok: false, detail: expect.stringMatching(/^statement 1 would cost more/) },
    ]);
  });

  it('are called unused only after they were watched for long enough', async () => {
    const { db, activities } = await fresh(MANY, { unusedDays: 30 });
    const { changes, warnings } = await runActivity(activities.findSlowQueries, db.place);
    expect([changes, warnings]).toEqual([
      [],
      [
        expect.stringMatching(
          /^scans are counted for certain since 20.* only: no index is called unused before 30 days/,
        ),
      ],
    ]);
  });

  it('are not counted for longer than their database is there, whoever looks', async () => {
    const serverSince = async () =>
      (await pg.fresh()).query(
        `SELECT FROM pg_stat_bgwriter WHERE stats_reset < clock_timestamp() - interval '2 s'`,
      );
    await until(async () => (await serverSince()).length > 0);
    const started = Date.now();
    const { db, activities } = await fresh(
      `DO $$ BEGIN CREATE ROLE onlooker LOGIN PASSWORD '${PASSWORD}' IN ROLE pg_read_all_stats; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    );
    const sinceOf = async (url: string, tuning: typeof activities = activities) => {
      writeFileSync(join(db.directory, 'url'), url);
      const { countedSince, warnings } = await runActivity(tuning.findIndexProblems, db.place);
      return { since: Date.parse(countedSince), warnings };
    };
    const seen = await sinceOf(db.url, withTuning(db, { unusedDays: 30 }));
    const unseen = await sinceOf(
      pg.urlOf(db.name, { user: 'onlooker', password: PASSWORD }),
      withTuning(db, { unusedDays: 30 }),
    );
    for (const { since } of [seen, unseen]) expect(since).toBeGreaterThanOrEqual(started - 1_000);
    expect(seen.warnings.join()).not.toMatch(/pg_stat_file/);
    expect(unseen.warnings.join()).toMatch(/GRANT EXECUTE ON FUNCTION pg_stat_file\(text, boolean\)/);
  });

  it('that are dropped come back exactly as they were, and what a known statement needs is not dropped', async () => {
    const { db, activities } = await fresh(MANY, { maxChanges: 50 });
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

  it('of whose table a statement cannot be planned stay: nobody knows whether it needs them', async () => {
    const { db } = await fresh('CREATE INDEX spare ON orders (note)');
    const spare = dropOf('spare', 'CREATE INDEX spare ON public.orders USING btree (note)');
    const witness = (id: string, text: string) => ({
      id,
      text,
      tables: ['public.orders'],
      calls: 1,
      meanMs: 1,
    });
    const proofWith = async (...witnesses: ReturnType<typeof witness>[]) => {
      const settings = { minGain: 0.3, maxLoss: 0.05 };
      const review = { changes: [spare], witnesses, settings, planner: {} };
      return (await prove(db, review as unknown as IndexReview)).proven[0];
    };
    const good = witness('1', 'SELECT * FROM orders WHERE id = $1');
    expect(await proofWith(good, witness('2', 'SELECT gone FROM orders'))).toEqual({
      ...{ index: 'public.spare', ok: false },
      detail: 'a statement of its table could not be planned: 2: column "gone" does not exist',
    });
    // Its constants were counted without their types.
    for (const text of [
      `INSERT INTO orders (id, note) SELECT $1 + n, $2 || n FROM generate_series($3, $4) n`,
      `INSERT INTO orders (id, placed_at) SELECT $1, generate_series($2, $3, interval '1 day') FROM generate_series($4, $5)`,
      `DELETE FROM orders WHERE id = $1 AND placed_at < date_trunc($2, now()) - interval '1 day'`,
    ])
      expect(await proofWith(good, witness('2', text))).toMatchObject({
        ok: true,
        detail: expect.stringMatching(/^none of 2 known/),
      });
    expect(await proofWith(good)).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/^none of 1 known/),
    });
    expect(await proofWith()).toMatchObject({ ok: true, detail: 'no statement of its table is known' });
  });

  it('whose last scan is too long ago say when it was, and how many there were', () => {
    const facts = {
      ...{ index: 'public.quarterly', table: 'public.orders', definition: '', shape: '', columns: ['note'] },
      ...{ bytes: 1, scans: 0, valid: true, building: false, partial: false, btree: true, keptBecause: null },
      ...{ tablespace: null, comment: null },
    };
    const since = '2026-01-01T00:00:00Z';
    const whyOf = (allScans: number, lastScan: string | null) =>
      unusedIndexes([{ ...facts, allScans, lastScan }], [], since).changes.map(({ why }) => why);
    expect(whyOf(5_000, '2026-07-01T00:00:00Z')).toEqual([
      'last scan 2026-07-01T00:00:00Z, 5000 scans since 2026-01-01T00:00:00Z',
    ]);
    expect(whyOf(0, null)).toEqual(['no scan of it since 2026-01-01T00:00:00Z']);
  });

  it('that were needless when they were planned stay where they no longer are', async () => {
    const { db, activities } = await fresh(
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
    const { db, activities } = await fresh('CREATE INDEX spare ON orders (note)');
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
    const { db, activities } = await fresh('CREATE INDEX spare ON orders (note)');
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
  const { db, activities } = await fresh('CREATE INDEX spare ON orders (note);', {
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
    const { db, activities } = await fresh('', { buildTimeoutMinutes: 0.06 });
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
