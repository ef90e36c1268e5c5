import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { RunReport } from '../../../src/contract/report';
import type { GuardState } from '../../../src/contract/guard';
import { useEnvironment, withKit } from './harness';

const env = useEnvironment();

const broken = (message: string) => async (): Promise<never> => {
  throw ApplicationFailure.nonRetryable(message, 'Broken');
};
const changes = (log: string[]) => log.filter((line) => line.startsWith('change'));

describe('a run that fails', () => {
  it('undoes what it did, newest first, and ends as ROLLED_BACK with its report in details and memo', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { mode: 'auto' };
      world.acts.check = async () => ({ ok: false, detail: 'still ill' });
      const { failure, report, handle } = await run('fiveMovements');
      expect(changes(world.log)).toEqual(['change a', 'change b', 'change back b', 'change back a']);
      expect(failure).toMatchObject({ type: 'ROLLED_BACK' });
      expect(failure?.message).toMatch(/^ROLLED_BACK: It helped: still ill/);
      expect(report?.timeline.filter(({ movement }) => movement === 'undo').length).toBeGreaterThan(2);
      const { memo } = await handle.describe();
      expect((memo?.['report'] as RunReport).outcome).toBe('ROLLED_BACK');
    }));

  it('undoes a step whose outcome is unknown, because its way back was registered before it began', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { mode: 'auto' };
      world.acts.change = async ({ what }) => (what === 'b' ? broken('connection lost')() : 'changed');
      const { failure } = await run('fiveMovements');
      expect(changes(world.log)).toEqual(['change a', 'change b', 'change back b', 'change back a']);
      expect(failure?.type).toBe('ROLLED_BACK');
    }));

  it('ends as FAILED when nothing had been changed', () =>
    withKit(env, async ({ world, run }) => {
      world.acts.look = broken('no such table');
      const { failure } = await run('fiveMovements');
      expect(failure).toMatchObject({ type: 'FAILED', message: 'FAILED: no such table (Broken)' });
      expect(world.log).toEqual([]);
    }));

  it('ends instead of being retried forever when the procedure itself has a bug', () =>
    withKit(env, async ({ run }) => {
      expect((await run('buggy')).failure).toMatchObject({
        type: 'FAILED',
        message: expect.stringContaining('undefined is not a function'),
      });
    }));

  it('answers an Update whose handler has a bug, instead of hanging with every query', () =>
    withKit(env, async ({ start, waiting }) => {
      const handle = await start('exploding');
      await waiting(handle, 'task');
      const answered = handle.executeUpdate('explode').then(
        () => 'taken',
        () => 'failed',
      );
      const hung = new Promise((resolve) => setTimeout(() => resolve('hung'), 5_000).unref());
      expect(await Promise.race([answered, hung])).toBe('failed');
      await handle.terminate().catch(() => undefined);
    }));

  it('tidies up also when it failed', () =>
    withKit(env, async ({ world, run }) => {
      world.acts.check = async () => ({ ok: false, detail: 'ill' });
      await run('tidying');
      expect(changes(world.log)).toEqual(['change a', 'change back a', 'change back mess']);
    }));
});

describe('a way back that fails', () => {
  it('calls a person, keeps everything, does not go on undoing, and ends as NEEDS_HUMAN', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.policy = { mode: 'auto' };
      world.acts.check = async () => ({ ok: false, detail: 'ill' });
      world.acts.changeBack = broken('disk full');
      const handle = await start('fiveMovements');
      const task = await waiting(handle, 'task');
      expect(task.question).toMatch(/Change b back failed: disk full/);
      expect(changes(world.log)).toEqual(['change a', 'change b', 'change back b']);
      // The question is there a moment before the one who is to hear it has been told.
      for (let tries = 0; tries < 2_400 && !world.log.includes('told on-call'); tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(world.log).toContain('told on-call');
      await handle.executeUpdate('done', { args: [{ task: task.id, by: 'ben', note: 'freed the disk' }] });
      const { failure, report } = await finish(handle);
      expect(failure?.type).toBe('NEEDS_HUMAN');
      expect(changes(world.log)).toEqual(['change a', 'change b', 'change back b']);
      expect(report?.timeline.some(({ detail }) => detail?.includes('freed the disk'))).toBe(true);
    }));

  it('does not tidy up: what is there may be needed', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.acts.check = async () => ({ ok: false, detail: 'ill' });
      world.acts.changeBack = async ({ what }) => (what === 'a' ? broken('disk full')() : 'ok');
      const handle = await start('tidying');
      const { id } = await waiting(handle, 'task');
      await handle.executeUpdate('done', { args: [{ task: id, by: 'ben', note: 'mended' }] });
      expect((await finish(handle)).failure?.type).toBe('NEEDS_HUMAN');
      expect(world.log).not.toContain('change back mess');
    }));

  it('keeps the lease while it waits for the person, however long, and reminds people', () =>
    withKit(env, async ({ world, start, waiting, finish, until }) => {
      world.policy = { mode: 'auto' };
      world.acts.check = async () => ({ ok: false, detail: 'ill' });
      world.acts.changeBack = broken('disk full');
      const stuck = await start('underLease');
      const { id: first } = await waiting(stuck, 'task');
      // Not a whole number of days: it is asked anew each day, and the answer must not meet that.
      await env.sleep('75 hours');
      await until(stuck, ({ waiting: open }) => open.some(({ id }) => id !== first));
      const task = await waiting(stuck, 'task');
      // Each day anew, and at growing distances: whoever is paged all night hears nothing any longer.
      const told = world.log.filter((line) => line === 'told lead').length;
      expect([told >= 12, told <= 40]).toEqual([true, true]);
      const second = await start('holder');
      await until(second, ({ summary }) => summary.startsWith('waiting for the lease of leased: kept by'));
      await stuck.executeUpdate('done', { args: [{ task: task.id, by: 'ben', note: 'mended' }] });
      expect((await finish(stuck)).failure?.type).toBe('NEEDS_HUMAN');
      await until(second, ({ facts }) => facts['token'] !== undefined);
      await second.cancel();
      await finish(second);
    }));

  it('keeps the lease even when its run is terminated, until a person frees it by name and reason', () =>
    withKit(env, async ({ world, start, waiting, finish, until }) => {
      world.policy = { mode: 'auto' };
      world.acts.check = async () => ({ ok: false, detail: 'ill' });
      world.acts.changeBack = broken('disk full');
      const stuck = await start('underLease');
      await waiting(stuck, 'task');
      const guard = env.client.workflow.getHandle('guard/leased');
      const holder = async () => (await guard.query<GuardState>('state')).holder;
      while ((await holder())?.kept === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      await stuck.terminate();
      const next = await start('holder');
      await until(next, ({ summary }) => summary.startsWith('waiting for the lease of leased: kept by'));
      await env.sleep('30s');
      expect((await holder())?.workflowId).toBe(stuck.workflowId);
      const free = (words: object) => guard.executeUpdate('free', { args: [words] });
      await expect(free({ by: 'ben' })).rejects.toThrow();
      expect(await free({ by: 'ben', reason: 'mended by hand' })).toContain('is free');
      await until(next, ({ facts }) => facts['token'] !== undefined);
      await expect(free({ by: 'ben', reason: 'again' })).rejects.toThrow();
      await next.cancel();
      await finish(next);
    }));
});

describe('cancellation', () => {
  const cancelWhen = (title: string) =>
    withKit(env, async ({ world, start, until, finish }) => {
      world.policy = { mode: 'auto' };
      const { error, failure, handle } = await (async () => {
        const handle = await start('underLease');
        await until(handle, ({ timeline }) =>
          timeline.some((entry) => entry.title === title && entry.status === 'running'),
        );
        await handle.cancel();
        return finish(handle);
      })();
      void error;
      expect(failure?.type).toBe('ROLLED_BACK');
      expect(failure?.message).toMatch(/cancelled; what had been done was undone/);
      expect(changes(world.log)).toEqual(['change leased', 'change back leased']);
      const guard = await env.client.workflow
        .getHandle('guard/leased')
        .query<{ holder: { workflowId: string } | null }>('state');
      expect(guard.holder?.workflowId).not.toBe(handle.workflowId);
    });

  it('during verify undoes what was done and gives the lease back', () => cancelWhen('Soak'));

  it('during act waits for the activity, then undoes it', () =>
    withKit(env, async ({ world, start, finish }) => {
      world.policy = { mode: 'auto' };
      let begun!: () => void;
      const started = new Promise<void>((resolve) => (begun = resolve));
      let finished = false;
      world.acts.change = async () => {
        begun();
        await new Promise((resolve) => setTimeout(resolve, 500));
        finished = true;
        return 'changed';
      };
      world.acts.changeBack = async () => {
        expect(finished).toBe(true);
        return 'back';
      };
      const handle = await start('fiveMovements');
      await started;
      await handle.cancel();
      expect((await finish(handle)).failure?.type).toBe('ROLLED_BACK');
      expect(changes(world.log)).toEqual(['change a', 'change back a']);
    }));

  it('during diagnose closes as cancelled, with nothing changed and the report in the memo', () =>
    withKit(env, async ({ world, start, until, finish }) => {
      world.acts.look = async () => {
        await new Promise((resolve) => setTimeout(resolve, 500));
        return { value: 1 };
      };
      const handle = await start('fiveMovements');
      await until(handle, ({ timeline }) => timeline.some(({ title }) => title === 'Look'));
      await handle.cancel();
      const { error } = await finish(handle);
      expect((error as Error).cause).toBeInstanceOf(CancelledFailure);
      const { memo, status } = await handle.describe();
      expect(status.name).toBe('CANCELLED');
      expect((memo?.['report'] as RunReport).outcome).toBe('CANCELLED');
      expect(changes(world.log)).toEqual([]);
    }));

  it('during the gate closes as cancelled', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      const handle = await start('fiveMovements');
      await waiting(handle);
      await handle.cancel();
      expect(((await finish(handle)).error as Error).cause).toBeInstanceOf(CancelledFailure);
      expect(changes(world.log)).toEqual([]);
    }));

  it('after the work was finished under its lease leaves it as it is', () =>
    withKit(env, async ({ world, start, until, finish }) => {
      const handle = await start('finishing');
      await until(handle, ({ timeline }) =>
        timeline.some(({ title, status }) => title === 'Change a' && status === 'done'),
      );
      const guard = env.client.workflow.getHandle('guard/finishing');
      while ((await guard.query<{ holder: unknown }>('state')).holder !== null)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await handle.cancel();
      await finish(handle);
      expect(changes(world.log)).toEqual(['change a']);
      const { memo } = await handle.describe();
      expect(memo?.['report'] as RunReport).toMatchObject({
        outcome: 'PARTIAL',
        instead: 'CANCELLED',
        summary: 'cancelled; changed and not undone: Change a',
      });
    }));

  it('during undo does not stop the undo', () =>
    withKit(env, async ({ world, start, finish }) => {
      world.policy = { mode: 'auto' };
      world.acts.check = async () => ({ ok: false, detail: 'ill' });
      let undoing!: () => void;
      const begun = new Promise<void>((resolve) => (undoing = resolve));
      world.acts.changeBack = async () => {
        undoing();
        await new Promise((resolve) => setTimeout(resolve, 300));
        return 'back';
      };
      const handle = await start('fiveMovements');
      await begun;
      await handle.cancel();
      expect((await finish(handle)).failure?.type).toBe('ROLLED_BACK');
      expect(changes(world.log)).toEqual(['change a', 'change b', 'change back b', 'change back a']);
    }));
});

describe('messages to people', () => {
  it('never fail a run, and their failure is on the timeline', () =>
    withKit(env, async ({ world, run }) => {
      world.announce = broken('no route to host');
      const { report } = await run('announcing');
      expect(report?.outcome).toBe('SUCCEEDED');
      expect(report?.timeline).toContainEqual(
        expect.objectContaining({ title: 'A message did not arrive', detail: 'no route to host' }),
      );
    }));
});
