import type { WorkflowHandle } from '@temporalio/client';
import { createGuardActivities } from '../../../src/activities/guard/guard-activities';
import { readGuardMemory, signalGuard } from '../../../src/activities/guard/reach-guard';
import type { LoadedConfig } from '../../../src/config/load';
import { taskQueue, useEnvironment, withKit, type Kit } from './harness';

const env = useEnvironment();

const words = { by: 'ben', reason: 'freeze' };
const say = (target: string, signal: 'pause' | 'resume') =>
  signalGuard(env.client, taskQueue, target, signal, words);
const changes = (kit: Kit) => kit.world.log.filter((line) => line.startsWith('change'));

async function known(target: string, paused: boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    const memory = (await readGuardMemory(env.client, target))?.memory;
    if (((memory?.paused ?? null) !== null) === paused) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${target} is never ${paused ? 'paused' : 'resumed'}`);
}

const pause = async (target: string) => {
  await say(target, 'pause');
  await known(target, true);
};
const resume = async (target: string) => {
  await say(target, 'resume');
  await known(target, false);
};
const held = (kit: Kit, handle: WorkflowHandle) =>
  kit.until(handle, ({ summary }) => summary.startsWith('paused'));

async function pausedAfterFirstChange(kit: Kit): Promise<WorkflowHandle> {
  kit.world.policy = { mode: 'auto' };
  kit.world.acts.change = async ({ what }) => {
    if (what === 'a') await pause('all');
    return 'changed';
  };
  const handle = await kit.start('fiveMovements');
  await kit.until(handle, ({ timeline }) =>
    timeline.some(({ title }) => title === 'Paused before: Change b'),
  );
  return handle;
}

describe('the kill switch', () => {
  it.each(['all', 'booking'])('of %s shuts the gate, and opens it again', (target) =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      await pause(target);
      const handle = await kit.start('fiveMovements');
      const { summary, timeline } = await held(kit, handle);
      expect(summary).toMatch(
        target === 'all'
          ? /paused by ben .*: freeze. `runbooks resume --reason "..."` lets it go on/
          : /paused by ben .*, all of booking: freeze. `runbooks resume --target booking --reason/,
      );
      expect(timeline.at(-1)?.title).toBe('Paused before: the gate');
      expect(changes(kit)).toEqual([]);
      await resume(target);
      expect((await kit.finish(handle)).report?.outcome).toBe('SUCCEEDED');
    }),
  );

  it('holds back nothing that changes nothing, and is told there', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      await pause('booking');
      try {
        const handle = await kit.start('leaving', undefined, { parts: 'planAlsoWhilePaused' });
        const { outcome, timeline } = await kit.until(
          handle,
          (now) => now.endedAt !== undefined || now.summary.startsWith('paused'),
        );
        expect(outcome).toBe('SUCCEEDED');
        expect(timeline).toContainEqual(
          expect.objectContaining({
            title: 'This goes on: it changes nothing',
            detail: expect.stringMatching(/^paused by ben at .*, all of booking: freeze$/) as string,
          }),
        );
      } finally {
        await resume('booking');
      }
    }));

  it('holds back a plan that asks nobody, and has one that had to wait made again', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      let value = 1;
      kit.world.acts.look = async () => ({ value });
      await pause('booking');
      const planned = await kit.start('leaving', undefined, { parts: 'plan undo' });
      const gated = await kit.start('fiveMovements');
      expect((await held(kit, planned)).timeline.at(-1)?.title).toBe('Paused before: the plan');
      await held(kit, gated);
      expect(changes(kit)).toEqual([]);
      value = 2;
      await env.sleep('10 minutes');
      await resume('booking');
      const { timeline, plan } = (await kit.finish(gated)).report!;
      expect(plan?.actions[0]?.count).toBe(2);
      expect(timeline.some(({ title }) => /^Plan .* is void$/.test(title))).toBe(true);
      expect((await kit.finish(planned)).report?.outcome).toBe('SUCCEEDED');
    }));

  it('of another service shuts nothing', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      await pause('billing');
      expect((await kit.run('fiveMovements')).report?.outcome).toBe('SUCCEEDED');
    }));

  it('holds back the next change of a run that is under way; told to look again, it goes on at once', () =>
    withKit(env, async (kit) => {
      const handle = await pausedAfterFirstChange(kit);
      expect(changes(kit)).toEqual(['change a']);
      await resume('all');
      await handle.signal('wake', 'all');
      expect((await kit.finish(handle)).report?.outcome).toBe('SUCCEEDED');
      expect(changes(kit)).toEqual(['change a', 'change b']);
    }));

  it('lets what was begun be taken back', () =>
    withKit(env, async (kit) => {
      const handle = await pausedAfterFirstChange(kit);
      await handle.cancel();
      expect((await kit.finish(handle)).failure?.type).toBe('ROLLED_BACK');
      expect(changes(kit)).toEqual(['change a', 'change back a']);
      await resume('all');
    }));

  it('counts as on while it cannot be read', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      kit.world.readSwitch = async () => {
        throw new Error('deadline exceeded');
      };
      const handle = await kit.start('fiveMovements');
      const { summary } = await held(kit, handle);
      expect(summary).toContain('cannot be read, which counts as paused: deadline exceeded');
      expect(changes(kit)).toEqual([]);
      await env.sleep('10 minutes');
      delete kit.world.readSwitch;
      // Nobody resumes it: it goes on by itself soon after it can be read.
      await env.sleep('20s');
      expect((await kit.settled(handle)).outcome).toBe('SUCCEEDED');
    }));

  // Last: after a termination the clock of this server may stand still.
  it('is still on after its guard was terminated, which then is started again with all that it knew', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      await pause('all');
      const guard = env.client.workflow.getHandle('guard/all');
      await guard.terminate();
      expect(await readGuardMemory(env.client, 'all')).toMatchObject({
        runs: false,
        memory: { paused: words },
      });
      const handle = await kit.start('fiveMovements');
      const { summary } = await held(kit, handle);
      expect(summary).toMatch(/paused by ben .*freeze/);
      expect(await readGuardMemory(env.client, 'all')).toMatchObject({
        runs: true,
        memory: { paused: words },
      });
      await guard.terminate();
      // Whoever speaks to it first starts it again as well.
      await signalGuard(env.client, taskQueue, 'all', 'sick', { service: 'x', reason: 'y', limit: 99 });
      expect(await guard.query('state')).toMatchObject({ paused: words, sick: { x: { reason: 'y' } } });
      await resume('all');
      await handle.signal('wake', 'all');
      await kit.until(handle, ({ endedAt }) => endedAt !== undefined);
      const config = { temporal: { taskQueue } } as unknown as LoadedConfig;
      const { readSwitch } = createGuardActivities({ config, client: env.client });
      expect(await readSwitch({ targets: ['booking/production'] })).toEqual([]);
    }));

  it('is not taken for off while a guard that was started with a pause has not had its first turn', async () => {
    const config = { temporal: { taskQueue } } as unknown as LoadedConfig;
    const { readSwitch } = createGuardActivities({ config, client: env.client });
    await signalGuard(env.client, 'nobody-serves-this', 'idle', 'pause', words);
    await expect(readSwitch({ targets: ['idle/production'] })).rejects.toThrow(
      'guard/idle runs, and has heard nothing yet',
    );
    await env.client.workflow.getHandle('guard/idle').terminate();
  });
});
