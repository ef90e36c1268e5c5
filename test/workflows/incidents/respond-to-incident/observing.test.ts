import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import { stopIncidents, withIncidents } from './harness';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopIncidents();
  await env?.teardown();
});

describe('who says that it is over', () => {
  it('is answered also where the run only observes, and ends before it looks', () =>
    withIncidents(env, async ({ world, start, say, until, finish }) => {
      world.policy = { ...world.policy, mode: 'observe' };
      let go!: () => void;
      const told = new Promise<void>((resolve) => (go = resolve));
      world.checks = async () => {
        await told;
        return [];
      };
      const handle = await start();
      await until(handle, ({ timeline }) =>
        timeline.some(({ title }) => title === 'Read the further checks'),
      );
      const answer = say(handle, 'resolve', { by: 'ben', note: 'over' });
      await new Promise((resolve) => setTimeout(resolve, 500));
      go();
      expect(await answer).toMatch(/REFUSED.*the run has ended/);
      expect((await finish(handle)).report?.outcome).toBe('OBSERVED');
    }));
});
