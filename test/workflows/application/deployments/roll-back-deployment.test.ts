import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import {
  detailOf,
  front,
  made,
  NEW,
  putInFront,
  stopDeployments,
  withDeployments,
  type DeploymentWorld,
} from './world';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopDeployments();
  await env?.teardown();
});

describe('a rollback', () => {
  /** The new one is in front, and fails. */
  const bad = (world: DeploymentWorld) => {
    world.all = [NEW, ...world.all];
    putInFront(world, NEW.id);
    world.rate = (one) => (one?.id === NEW.id ? 0.5 : 0);
  };
  const slow = (more: object) => ({
    ...{ name: 'latency', value: 9, band: 'critical', ok: false, windowMs: 1_000, detail: 'slow' },
    ...more,
  });

  it('leaves alone what somebody else has put in front meanwhile, though it did not help', () =>
    withDeployments(env, async ({ world, rollBack }) => {
      bad(world);
      world.rate = () => 0.5;
      world.promotes = () => {
        // Right after it.
        world.rate = () => {
          if (front(world) === 'old') {
            world.all = [made('hotfix', 3), ...world.all];
            putInFront(world, 'hotfix');
          }
          return 0.5;
        };
      };
      const report = await rollBack();
      expect(detailOf(report, 'Nothing to take back')).toMatch(/^in front: hotfix/);
      expect(world.log.filter((line) => line.startsWith('promote'))).toEqual(['promote old from new']);
    }));

  it('that did not help is taken back', () =>
    withDeployments(env, async ({ world, rollBack }) => {
      bad(world);
      world.rate = () => 0.5;
      expect((await rollBack()).outcome).toBe('ROLLED_BACK');
      expect(world.log).toEqual(['promote old from new', 'promote new from old']);
    }));

  it.each([
    ['lasts, though errors are gone', [slow({})], 'SUCCEEDED'],
    ['is not known', [slow({ value: null, band: null, unknown: 'no-answer' })], 'SUCCEEDED'],
    ['is gone', [slow({ ok: true, band: 'objective' })], 'NOTHING_TO_DO'],
    [
      'is nothing that anybody measures',
      [slow({ value: null, band: null, unknown: 'not-configured' })],
      'NOTHING_TO_DO',
    ],
    ['is information only', [slow({ band: 'info' })], 'NOTHING_TO_DO'],
  ])('for a number that %s', (_, measured, wanted) =>
    withDeployments(env, async ({ world, rollBack }) => {
      bad(world);
      world.rate = () => 0;
      world.measured = measured as unknown as DeploymentWorld['measured'];
      expect((await rollBack({ from: NEW.id, measures: ['latency'] })).outcome).toBe(wanted);
    }),
  );

  it('that another run wants is over where the symptom is, and where another one is in front', () =>
    withDeployments(env, async ({ world, rollBack }) => {
      bad(world);
      world.rate = () => 0;
      expect(await rollBack({ from: NEW.id })).toMatchObject({
        outcome: 'NOTHING_TO_DO',
        summary: expect.stringMatching(/the symptom is gone/),
      });
      expect(await rollBack({ from: 'old' })).toMatchObject({
        outcome: 'NOTHING_TO_DO',
        summary: expect.stringMatching(/and no longer old/),
      });
      expect(world.log).toEqual([]);
    }));

  it('warns of one that was itself rolled back before, which only a name chooses', () =>
    withDeployments(env, async ({ world, rollBack }) => {
      bad(world);
      world.all = world.all.map((one) =>
        one.id === 'old' ? { ...one, rolledBackAt: '2026-01-03T00:00:00.000Z' } : one,
      );
      expect(await rollBack()).toMatchObject({
        outcome: 'FAILED',
        summary: expect.stringMatching(/nothing to go back to/),
      });
      expect((await rollBack({ deployment: 'old' })).plan!.warnings).toContain(
        '1.0.0 was itself rolled back before',
      );
    }));
});
