import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import { GONE, ILL, LIVE, partsOf, stopDisasters, unreachable, WELL, withDisaster } from './world';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopDisasters();
  await env?.teardown();
});

describe('a database whose server does not answer', () => {
  it('is a task that is over when it answers, and then restored where nothing is left of it', () =>
    withDisaster(env, async ({ world, start, finish, task }) => {
      world.live = unreachable;
      world.symptoms = () => ILL;
      const handle = await start();
      const { question } = await task(handle);
      expect(question).toMatch(
        /^The database server of booking\/production cannot be worked with: Could not connect .*refused\. Start it, or put a new, empty server/,
      );
      expect(world.told).toEqual([expect.stringMatching(/^booking is down since /)]);
      expect(partsOf(world)).toEqual([['respondToIncident', 'P0']]);
      world.live = () => ({ ...GONE, registered: false, systemIdentifier: '8' });
      world.play = ({ runbook }) => {
        if (runbook === 'restoreDatabase') [world.live, world.symptoms] = [() => LIVE, () => WELL];
        return { outcome: 'SUCCEEDED', summary: 'done' };
      };
      const report = await finish(handle);
      expect([report.outcome, report.summary]).toEqual([
        'SUCCEEDED',
        expect.stringMatching(
          /^booking\/production serves again, .* recovered: the server of the database answers again; the database, with the data of 2026-01-02 00:00:00 UTC/,
        ),
      ]);
      expect(partsOf(world).slice(1)).toEqual([['restoreDatabase', 'b2']]);
    }));

  it('stays a task where somebody says too early that it is done', () =>
    withDisaster(env, async ({ world, start, finish, task, done }) => {
      world.live = unreachable;
      const handle = await start();
      const first = await task(handle);
      await done(handle, first.id);
      const again = await task(handle, first.id);
      expect(again.question).toMatch(
        /^Still not right \(Could not connect .*refused\), round 2: The database server/,
      );
      world.live = () => LIVE;
      const report = await finish(handle);
      expect([report.outcome, report.summary]).toEqual([
        'SUCCEEDED',
        expect.stringMatching(/recovered: the server of the database answers again/),
      ]);
    }));

  it('is not recovered where nobody has it answer in time, and the application is not judged without it', () =>
    withDisaster(env, async ({ world, run }) => {
      world.live = unreachable;
      world.symptoms = () => ILL;
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'REJECTED',
        expect.stringMatching(/^nobody did it in time: The database server/),
      ]);
      expect(partsOf(world)).toEqual([['respondToIncident', 'P0']]);
    }));

  it('is looked at for a week without a history that a server would refuse', () =>
    withDisaster(env, async ({ world, start, finish }) => {
      world.live = unreachable;
      world.policy.humanWaitMs = 7 * 24 * 3_600_000;
      const handle = await start();
      await finish(handle);
      expect((await handle.describe()).historyLength).toBeLessThan(10_000);
    }));
});
