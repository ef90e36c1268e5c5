import type { WorkflowHandle } from '@temporalio/client';
import { readGuardMemory } from '../../../src/activities/guard/reach-guard';
import type { GuardState } from '../../../src/contract/guard';
import { withKit, NOBODY, useEnvironment } from '../kit/harness';

const env = useEnvironment();

// Not result(): that lets the server skip to the guard's next reminder, or to its own end.
async function ended(handle: WorkflowHandle): Promise<void> {
  while ((await handle.describe()).status.name === 'RUNNING')
    await new Promise((resolve) => setTimeout(resolve, 20));
}

const guardState = () => env.client.workflow.getHandle('guard/leased').query<GuardState>('state');

describe('the guard', () => {
  // First: after a termination the clock of this server may stand still.
  it('keeps the lease of a run that ended because it needs a person, and reminds people each day', () =>
    withKit(env, async ({ world, start, settled, until }) => {
      world.policy = { mode: 'auto' };
      const givesUp = await start('givingUp');
      expect((await settled(givesUp)).outcome).toBe('NEEDS_HUMAN');
      await ended(givesUp);
      expect((await guardState()).holder?.kept).toBe('the copy stays live, as decided');
      // Whoever asks in its name, once it has ended: that it cannot be told is no reason to let the lease go.
      const { runId } = await givesUp.describe();
      const again = { workflowId: givesUp.workflowId, runId, runbook: 'givingUp', atLeast: 0, rank: 5 };
      await env.client.workflow.getHandle('guard/leased').signal('request', again);
      const next = await start('holder');
      await until(next, ({ summary }) => summary.includes('which needs a person: the copy stays live'));
      await next.cancel();
      await ended(next);
      const texts: string[] = [];
      let refused = 3;
      world.announce = async ({ text }) => {
        texts.push(text);
        return refused-- > 0 ? { told: [], problems: ['chat: no answer'] } : { told: ['chat'], problems: [] };
      };
      const told = async (times: number) => {
        for (let tries = 0; tries < 400 && texts.length < times; tries += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
        return texts.length;
      };
      // Nobody was reached at first: it is tried again within minutes, until somebody was.
      await env.sleep('25 hours');
      expect(await told(4)).toBe(4);
      // That somebody was is written down a turn later.
      const isOpen = async () => (await guardState()).holder?.unsent !== undefined;
      for (let tries = 0; tries < 400 && (await isOpen()); tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await isOpen()).toBe(false);
      await env.sleep('24 hours');
      expect(await told(5)).toBe(5);
      expect(texts[0]).toMatch(
        /givingUp-\d+ needed a person and still keeps the lease of leased.*--free --reason/,
      );
      const guard = env.client.workflow.getHandle('guard/leased');
      await guard.executeUpdate('free', { args: [{ by: 'ben', reason: 'looked' }] });
      expect((await guardState()).holder).toBeNull();
    }));

  it('grants one lease at a time, in order, with growing tokens', () =>
    withKit(env, async ({ world, start, until }) => {
      world.policy = { mode: 'auto' };
      const first = await start('holder');
      const { facts } = await until(first, (status) => status.facts['token'] !== undefined);
      const second = await start('holder');
      const { summary } = await until(second, (status) => status.summary.startsWith('waiting for the lease'));
      expect(summary).toContain(first.workflowId);
      await first.cancel();
      const after = await until(second, (status) => status.facts['token'] !== undefined);
      expect(after.facts['token']).toBeGreaterThan(facts['token'] as number);
      await second.cancel();
    }));

  it('takes the lease back from a holder that was terminated', () =>
    withKit(env, async ({ world, start, until }) => {
      world.policy = { mode: 'auto' };
      const dead = await start('holder');
      await until(dead, (status) => status.facts['token'] !== undefined);
      await dead.terminate();
      const next = await start('holder');
      // The guard looks at the holder every five seconds while somebody waits.
      await until(next, (status) => status.summary.startsWith('waiting for the lease'));
      await env.sleep('10s');
      await until(next, (status) => status.facts['token'] !== undefined);
      await next.cancel();
    }));

  it('hears that a lease is given back although it was terminated meanwhile', () =>
    withKit(env, async ({ world, start, until }) => {
      world.policy = { mode: 'auto' };
      const first = await start('holder');
      await until(first, (status) => status.facts['token'] !== undefined);
      await env.client.workflow.getHandle('guard/leased').terminate();
      await first.cancel();
      await ended(first);
      const holder = async () => (await readGuardMemory(env.client, 'leased'))?.memory?.holder;
      for (let tries = 0; tries < 400 && (await holder()) !== null; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 25));
      expect(await holder()).toBeNull();
    }));

  it('grants nothing while paused, says why, and survives a pause sent without words', () =>
    withKit(env, async ({ world, start, until }) => {
      world.policy = { mode: 'auto' };
      const warm = await start('holder');
      await until(warm, (status) => status.facts['token'] !== undefined);
      await warm.cancel();
      await ended(warm);
      const handle = env.client.workflow.getHandle('guard/leased');
      await handle.signal('pause');
      expect((await guardState()).paused).toMatchObject({ by: 'unknown', reason: 'no reason given' });
      const waiting = await start('holder');
      await until(waiting, (status) => status.summary.includes('paused by unknown'));
      await handle.signal('resume', { by: 'ben' });
      const refused = await guardState();
      expect(refused.paused).not.toBeNull();
      expect(refused.changes.at(-1)).toMatchObject({ by: 'ben', what: 'not resumed' });
      await handle.signal('resume', { by: 'ben', reason: 'over' });
      await until(waiting, (status) => status.facts['token'] !== undefined);
      await waiting.cancel();
    }));

  // Before a test that waits for a result, which lets the server skip to the guard's own end.
  it('does not end because of a signal of another shape', () =>
    withKit(env, async () => {
      const guard = env.client.workflow.getHandle('guard/leased');
      const run = { workflowId: 'nobody', runId: NOBODY };
      const words = { toString: 'no', valueOf: 'no' };
      const noText = { ...run, by: words, reason: words, why: words, service: 'x', limit: 99 };
      for (const signal of [
        'request',
        'release',
        'keep',
        'admit',
        'ended',
        'rest',
        'sick',
        'resume',
        'pause',
      ])
        for (const argument of [undefined, null, 'text', {}, { workflowId: 1 }, { by: 7 }, noText])
          await guard.signal(signal, argument);
      await guard.signal('pause', { by: 'b'.repeat(10_000), reason: 'r'.repeat(100_000) });
      const { paused, changes } = await guardState();
      expect(JSON.stringify([paused, changes]).length).toBeLessThan(10_000);
      await guard.signal('resume', { by: 'ben', reason: 'over' });
      for (let tries = 0; (await guardState()).paused !== null; tries += 1) {
        if (tries > 400) throw new Error('never resumed');
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      expect((await guard.describe()).status.name).toBe('RUNNING');
    }));

  it('that was terminated is followed by one that knows who holds the lease, what was lowered, and the last token', () =>
    withKit(env, async ({ world, start, until, finish }) => {
      world.policy = { mode: 'auto' };
      const first = await start('holder');
      const { facts } = await until(first, (status) => status.facts['token'] !== undefined);
      const guard = env.client.workflow.getHandle('guard/leased');
      const order = { runbook: 'holder', mode: 'propose', by: 'ben', reason: 'test' };
      await guard.executeUpdate('ladder', { args: [order] });
      await guard.terminate();
      const second = await start('holder');
      await until(second, ({ summary }) => summary.includes(`held by ${first.workflowId}`));
      expect((await guardState()).breaker.ceilings).toMatchObject({ holder: { mode: 'propose', by: 'ben' } });
      await first.cancel();
      const after = await until(second, (status) => status.facts['token'] !== undefined);
      expect(after.facts['token']).toBeGreaterThan(facts['token'] as number);
      await second.cancel();
      await finish(second);
    }));

  it('forgets a run that was cancelled while it waited', () =>
    withKit(env, async ({ world, start, until }) => {
      world.policy = { mode: 'auto' };
      const first = await start('holder');
      await until(first, (status) => status.facts['token'] !== undefined);
      const second = await start('holder');
      await until(second, (status) => status.summary.startsWith('waiting for the lease'));
      await second.cancel();
      await ended(second);
      for (let tries = 0; tries < 2_400 && (await guardState()).waiting.length > 0; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect((await guardState()).waiting).toEqual([]);
      await first.cancel();
    }));
});
