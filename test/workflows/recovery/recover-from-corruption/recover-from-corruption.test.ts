import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import { backup, broken, comparison, ORDERS, row, stopCorruption, withCorruption } from './world';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopCorruption();
  await env?.teardown();
});

const IDS = '"public"."ids"';
const BACK = ['undo', 'resumeWrites'];
const after = (log: string[], what: string) => log.slice(log.indexOf(what) + 1);

it('stops writes, brings the rows back, verifies, and lets writes go on, under a lease newer than any seen', () =>
  withCorruption(env, async ({ world, run }) => {
    const { outcome, summary } = await run();
    expect([outcome, summary]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/^2 rows of booking\/production brought back as they were at 2026-01-02/),
    ]);
    expect(world.log).toEqual(['restore b2', 'stopWrites', 'bring', 'resumeWrites', 'smoke', 'drop']);
  }));

describe('nothing is changed', () => {
  it('where a rule is broken that no row of the backup mends, and a person is told', () =>
    withCorruption(env, async ({ world, run }) => {
      world.compare = () =>
        comparison({ rows: [], tables: [], left: [{ table: IDS, why: 'it has no primary key' }] });
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'FAILED',
        expect.stringMatching(
          /of_buyer: 2 rows.*no row of the backup mends that \("public"\."ids": it has no primary key\)\. Nothing was changed/,
        ),
      ]);
      expect(world.log).not.toContain('stopWrites');
    }));

  it('where somebody goes on writing although writes are stopped, and writes are resumed', () =>
    withCorruption(env, async ({ world, run }) => {
      world.quiet = () => false;
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'ROLLED_BACK',
        expect.stringMatching(/3 rows changed while it was watched, by importer/),
      ]);
      expect(world.log).toEqual(['restore b2', 'stopWrites', 'resumeWrites', 'drop']);
    }));
});

describe('the backup', () => {
  it('is no newer one from which rows were lost already, nor one that breaks a rule itself', () =>
    withCorruption(env, async ({ world, run }) => {
      world.backups = [
        backup('b3', 3, { shrunk: ['orders'], shrunkTables: 1 }),
        backup('b2', 2),
        backup('b1', 1),
        backup('b0', 0, { purpose: 'safety', snapshotAt: '2026-02-01T00:00:00.000Z' }),
      ];
      const usual = world.violations;
      world.violations = (where, id) => (where === 'copy' && id === 'b2' ? [broken(1)] : usual(where, id));
      const { outcome, plan } = await run();
      expect(outcome).toBe('SUCCEEDED');
      // The next one is restored under the same name.
      expect(world.log.slice(0, 3)).toEqual(['restore b2', 'drop', 'restore b1']);
      expect(plan!.warnings).toEqual(
        expect.arrayContaining([
          'newer, and not well: b3: a table shrank: orders',
          expect.stringMatching(/^newer, and not well: b2: .*of_buyer: 1 rows/),
        ]),
      );
    }));

  it('that a person names is taken though rows were lost from it, and not where it breaks a rule', () =>
    withCorruption(env, async ({ world, run }) => {
      world.backups = [backup('b3', 3, { shrunk: ['orders'], shrunkTables: 1 })];
      expect((await run({ recoveryPoint: 'b3' })).outcome).toBe('SUCCEEDED');
      world.violations = () => [broken(1)];
      expect(await run({ recoveryPoint: 'b3' })).toMatchObject({
        outcome: 'NEEDS_HUMAN',
        summary: expect.stringMatching(/no backup is well: b3: /),
      });
    }));
});

describe('what was brought back is taken back, and writes go on,', () => {
  it.each<[string, Parameters<typeof change>[0], RegExp]>([
    ['where a rule is still broken', 'rule', /of_buyer: 2 rows/],
    ['where a rule is broken that was not', 'new rule', /totals: 1 rows/],
    ['where an invariant is broken', 'invariant', /sold twice: 1 violations/],
    ['where the application is not well', 'health', /ready: answered 503/],
  ])('%s', (_, what, why) =>
    withCorruption(env, async ({ world, run }) => {
      change(what, world);
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual(['ROLLED_BACK', expect.stringMatching(why)]);
      expect(after(world.log, 'bring').filter((one) => one !== 'smoke' && one !== 'stopWrites')).toEqual(
        what === 'health' ? expect.arrayContaining(BACK) : [...BACK, 'drop'],
      );
    }),
  );

  function change(
    what: 'rule' | 'new rule' | 'invariant' | 'health',
    world: Parameters<Parameters<typeof withCorruption>[1]>[0]['world'],
  ): void {
    const usual = world.violations;
    const isBack = () => world.log.includes('bring');
    const live = (found: () => ReturnType<typeof usual>) => {
      world.violations = (where, id) => (where === 'live' && isBack() ? found() : usual(where, id));
    };
    if (what === 'rule') live(() => [broken(2)]);
    if (what === 'new rule') live(() => [{ ...broken(1), name: 'totals' }]);
    if (what === 'invariant')
      world.invariants = () => [
        { name: 'sold twice', ok: !isBack(), violations: isBack() ? 1 : 0, sample: '7' },
      ];
    if (what === 'health') world.health = () => [{ name: 'ready', ok: !isBack(), detail: 'answered 503' }];
  }

  it('or a person is called where somebody has changed some of it since, and is asked about the writes', () =>
    withCorruption(env, async ({ world, start, waiting, finish }) => {
      change('rule', world);
      world.undo = () => ({ done: 1, left: [{ unit: `${ORDERS} 1`, why: 'was changed since' }] });
      const handle = await start();
      const asked = await waiting(handle, 'decision');
      expect(asked.question).toMatch(
        /^Writes to booking\/production are stopped .*1 row put back as before, but not "public"\."orders" 1 \(was changed since\).*Resume writes now\?$/,
      );
      expect(world.log).not.toContain('resumeWrites');
      const words = { question: asked.id, choice: 'Resume writes', by: 'ben' };
      await handle.executeUpdate('decide', { args: [words] });
      const { id } = await waiting(handle, 'task');
      expect(world.log).toContain('resumeWrites');
      await handle.executeUpdate('done', { args: [{ task: id, by: 'ben', note: 'by hand' }] });
      expect((await finish(handle)).outcome).toBe('NEEDS_HUMAN');
    }));
});

describe('what is not mended', () => {
  const left = { unit: `${ORDERS} 2`, why: 'somebody has changed it since the plan was made' };

  it('may stay broken where the plan said so, is no success, and what was brought back stays', () =>
    withCorruption(env, async ({ world, run }) => {
      world.compare = () => comparison({ left: [{ table: IDS, why: 'it has no primary key' }] });
      world.violations = (where) => (where === 'live' ? [broken(2, IDS)] : []);
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'PARTIAL',
        expect.stringMatching(
          /2 rows of booking\/production brought back.*still broken: of_buyer: 2 rows of "public"\."ids".*A person has to look at that/,
        ),
      ]);
      expect(world.log).not.toContain('undo');
    }));

  it('may not be more than it was', () =>
    withCorruption(env, async ({ world, run }) => {
      world.compare = () => comparison({ left: [{ table: IDS, why: 'it has no primary key' }] });
      world.violations = (where) =>
        where === 'live' ? [broken(world.log.includes('bring') ? 3 : 2, IDS)] : [];
      expect((await run()).outcome).toBe('ROLLED_BACK');
      expect(world.log).toContain('undo');
    }));

  it('may be a rule that nobody could look at before, and none that nobody can look at since', () =>
    withCorruption(env, async ({ world, run }) => {
      const unread = { ...broken(0), name: 'own', problem: 'no such table' };
      const isBack = () => world.log.includes('bring');
      world.violations = (where) => (where === 'copy' ? [] : isBack() ? [unread] : [broken(2), unread]);
      expect((await run()).outcome).toBe('PARTIAL');
      world.log.length = 0;
      world.violations = (where) => (where === 'copy' ? [] : isBack() ? [unread] : [broken(2)]);
      expect((await run()).outcome).toBe('ROLLED_BACK');
    }));

  it('is told by row where somebody has changed it since the plan was made', () =>
    withCorruption(env, async ({ world, run }) => {
      world.compare = () => comparison({ rows: [row('1'), row('2', 'image')] });
      world.bring = () => ({ done: 1, left: [left] });
      world.violations = (where) => (where === 'live' ? [broken(world.log.includes('bring') ? 1 : 2)] : []);
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'PARTIAL',
        expect.stringMatching(/1 row of .*left alone: "public"\."orders" 2 \(somebody has changed it since/),
      ]);
    }));
});
