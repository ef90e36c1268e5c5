import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { unusedIndexes } from '../../../../src/activities/postgres/tuning/spare-indexes';
import type { IndexReview } from '../../../../src/contract/tuning';
import { runActivity, until } from '../../../support/postgres';
import { dropOf, freshTuning, MANY, PASSWORD, prove, useTuning, withTuning } from './tuning-world';

const pg = useTuning();

describe('the indexes', () => {
  it('that enforce, back or serve something are never among those that may go', async () => {
    const { db, activities } = await freshTuning(pg, MANY, { maxChanges: 50 });
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
    const { db, activities } = await freshTuning(
      pg,
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
    const { db, activities } = await freshTuning(pg, MANY, { unusedDays: 30 });
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
    const { db, activities } = await freshTuning(
      pg,
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

  it('of whose table a statement cannot be planned stay: nobody knows whether it needs them', async () => {
    const { db } = await freshTuning(pg, 'CREATE INDEX spare ON orders (note)');
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
});
