import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { readGuardMemory } from '../../../src/activities/guard/reach-guard';
import type { GuardState } from '../../../src/contract/guard';
import { quietTemporal } from '../../support/quiet';
import { askFor } from '../../support/shared/ask';
import { createTimeSkippingEnvironment } from '../../support/time-skipping';
import { stopKit, taskQueue, withKit } from '../kit/harness';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopKit();
  await env?.teardown();
});

// Not result(): that lets the server skip to the guard's own end.
async function ended(handle: WorkflowHandle): Promise<void> {
  while ((await handle.describe()).status.name === 'RUNNING')
    await new Promise((resolve) => setTimeout(resolve, 20));
}

const NOBODY = '00000000-0000-0000-0000-000000000000';
const guardState = () => env.client.workflow.getHandle('guard/leased').query<GuardState>('state');

/** A worker that begins only now, for guards of another queue. */
async function withWorker<T>(
  queue: string,
  post: () => Promise<never[]>,
  body: () => Promise<T>,
): Promise<T> {
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: queue,
    workflowBundle: { codePath: await askFor('bundle', require.resolve('../kit/fixtures')) },
    activities: { post, findEnded: async () => [] },
  });
  return worker.runUntil(body);
}

describe('the guard', () => {
  // First: after a termination the clock of this server may stand still.
  it('keeps the lease of a run that ended because it needs a person, and reminds people each day', () =>
    withKit(env, async ({ world, run, start, until, finish }) => {
      world.policy = { mode: 'auto' };
      expect((await run('givingUp')).failure?.type).toBe('NEEDS_HUMAN');
      expect((await guardState()).holder?.kept).toBe('the copy stays live, as decided');
      const next = await start('holder');
      await until(next, ({ summary }) => summary.includes('which needs a person: the copy stays live'));
      await next.cancel();
      await finish(next);
      const texts: string[] = [];
      world.announce = async ({ text }) => {
        texts.push(text);
        return { told: ['chat'], problems: [] };
      };
      await env.sleep('49 hours');
      for (let tries = 0; tries < 400 && texts.length < 2; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(texts.length).toBeGreaterThanOrEqual(2);
      expect(texts[0]).toMatch(
        /givingUp-\d+ needed a person and still keeps the lease of leased.*--free --reason/,
      );
      const guard = env.client.workflow.getHandle('guard/leased');
      await guard.executeUpdate('free', { args: [{ by: 'ben', reason: 'looked' }] });
      expect((await guardState()).holder).toBeNull();
    }));

  it.each(['guard', 'places'])(
    '%s hears what came before its first turn in the order in which it came',
    (name) =>
      withKit(env, async () => {
        const late = `late-${name}`;
        const one = { workflowId: 'a', runId: NOBODY, rank: 1 };
        const limits = { alerts: 1, schedules: 1, shards: 1 };
        const notice = { target: 'late', state: 'admitted', mode: 'auto', reason: '' };
        const said: [string, object][] =
          name === 'guard'
            ? [
                ['pause', { by: 'ben', reason: 'first' }],
                ['request', { ...one, runbook: 'x', atLeast: 1 }],
                ['release', one],
                ['resume', { by: 'ben', reason: 'second' }],
                ['pause', { by: 'cleo', reason: 'third' }],
              ]
            : [
                ['want', { ...one, pool: 'alerts', shard: 0, limits, notice }],
                ['free', one],
              ];
        const start = { workflowId: `${name}/late`, taskQueue: late, workflowRunTimeout: '30 days' } as const;
        const args = [name === 'guard' ? { target: 'late' } : { shard: 0, limits }];
        const handle = await env.client.workflow.start(name, { ...start, args });
        // Anybody can send a signal of any name.
        await handle.signal('__proto__', one);
        for (const [signal, argument] of said) await handle.signal(signal, argument);
        const state = await withWorker(
          late,
          async () => [],
          () => handle.query('state'),
        );
        expect(state).toMatchObject(
          name === 'guard' ? { paused: { by: 'cleo' }, waiting: [], holder: null } : { taken: [], queue: [] },
        );
        await handle.terminate();
      }),
  );

  it('is paused for whoever reads that, also while it is telling others', () =>
    withKit(env, async () => {
      const handle = await env.client.workflow.start('guard', {
        workflowId: 'guard/busy',
        taskQueue: 'busy',
        args: [{ target: 'busy' }],
        workflowRunTimeout: '30 days',
      });
      await handle.signal('pause', { by: 'ben', reason: 'first' });
      await handle.signal('request', { workflowId: 'a', runId: NOBODY, rank: 1, runbook: 'x', atLeast: 1 });
      let [tell, told] = [() => undefined as void, () => undefined as void];
      const telling = new Promise<void>((resolve) => (tell = resolve));
      const heard = new Promise<never[]>((resolve) => (told = () => resolve([])));
      const post = () => {
        tell();
        return heard;
      };
      await withWorker('busy', post, async () => {
        await telling;
        await handle.signal('pause', { by: 'cleo', reason: 'second' });
        for (let tries = 0; tries < 200; tries += 1) {
          if ((await readGuardMemory(env.client, 'busy'))?.memory?.paused?.by === 'cleo') break;
          await new Promise((resolve) => setTimeout(resolve, 25));
        }
        expect((await readGuardMemory(env.client, 'busy'))?.memory?.paused?.by).toBe('cleo');
        told();
        await handle.terminate();
      });
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

  it('starts above the largest token found at the target when it lost its state', () =>
    withKit(env, async () => {
      const lost = Date.now() + 10 * 365 * 86_400_000;
      const handle = await env.client.workflow.signalWithStart('guard', {
        workflowId: 'guard/lost',
        taskQueue,
        args: [{ target: 'lost' }],
        signal: 'request',
        signalArgs: [{ workflowId: 'nobody', runId: NOBODY, runbook: 'x', atLeast: lost, rank: 1 }],
      });
      for (let tries = 0; tries < 2_400; tries += 1) {
        const { lastToken } = await handle.query<GuardState>('state');
        if (lastToken > lost) return handle.terminate().then(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`token stayed at ${JSON.stringify(await handle.query('state'))}`);
    }));

  it('is not ended, nor stuck, by a signal of another shape', () =>
    withKit(env, async () => {
      const run = { workflowId: 'nobody', runId: NOBODY };
      const limits = { windowMs: 1, maxRecurrences: 1, cooldownMs: 1, flapLimit: 1, maxConcurrent: 1 };
      const admission = {
        ...{ ...run, runId: NOBODY.replace('0', '1'), runbook: 'x', fingerprint: 'y' },
        ...{ mode: 'auto', limits, rank: 1, place: null, again: false },
      };
      const bad: [string, unknown][] = [
        ...['request', 'release', 'keep', 'admit', 'rest', 'ended', 'sick'].map(
          (signal): [string, unknown] => [signal, undefined],
        ),
        ['request', { ...run, runId: 'x', atLeast: 0, rank: 1 }],
        ['request', { ...run, atLeast: 'much', rank: 1 }],
        ['admit', { ...run, rank: 1, limits: null, place: null }],
        ['admit', { ...run, rank: 1, limits: {}, place: {} }],
        ...[{ fingerprint: 'f'.repeat(1_000) }, { runbook: 'r'.repeat(1_000) }, { mode: 'all' }].map(
          (part): [string, unknown] => ['admit', { ...admission, ...part }],
        ),
        ['sick', { service: 'x' }],
      ];
      const running = {
        ...run,
        runbook: 'x',
        fingerprint: null,
        pool: null,
        startedAt: '',
        verdict: { state: 'admitted', mode: 'auto', reason: '' },
      };
      const breaker = { running: [running], past: [], open: [], ceilings: {} };
      const handle = await env.client.workflow.start('guard', {
        workflowId: 'guard/shaped',
        taskQueue,
        args: [{ target: 'shaped', breaker }],
      });
      const shard = await env.client.workflow.start('places', {
        workflowId: 'places/77',
        taskQueue,
        args: [
          {
            shard: 77,
            limits: { alerts: 1, schedules: 1, shards: 1 },
            taken: [{ ...run, pool: 'alerts', since: '' }],
          },
        ],
      });
      for (const [signal, words] of bad) await handle.signal(signal, words);
      await shard.signal('free');
      await shard.signal('want', { ...run, rank: 1, pool: 'alerts', shard: 0, limits: null });
      expect(await handle.query<GuardState>('state')).toMatchObject({
        lastToken: 0,
        waiting: [],
        queue: [],
        paused: null,
        sick: {},
        breaker,
      });
      expect(await shard.query('state')).toMatchObject({ taken: [run], queue: [] });
      for (const one of [handle, shard]) await one.terminate();
    }));

  it('reminds people of a lease that is kept, also while somebody waits for it', () =>
    withKit(env, async ({ world }) => {
      const texts: string[] = [];
      world.announce = async ({ text }) => {
        texts.push(text);
        return { told: ['chat'], problems: [] };
      };
      const since = new Date(Date.now() - 25 * 3_600_000).toISOString();
      const run = { workflowId: 'nobody', runId: NOBODY };
      const asking = { ...run, workflowId: 'somebody', runbook: 'x', atLeast: 0, rank: 1, since };
      // As one that has continued as new.
      const handle = await env.client.workflow.start('guard', {
        workflowId: 'guard/kept',
        taskQueue,
        args: [
          {
            target: 'kept',
            holder: { ...run, token: 1, since, kept: 'disk full', remindedAt: since },
            waiting: [asking],
          },
        ],
      });
      for (let tries = 0; texts.length === 0 && tries < 400; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(texts).toEqual([expect.stringContaining('nobody needed a person and still keeps the lease')]);
      const { holder } = await handle.query<GuardState>('state');
      expect(Date.parse(holder?.remindedAt ?? '')).toBeGreaterThan(Date.parse(since));
      await handle.terminate();
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
