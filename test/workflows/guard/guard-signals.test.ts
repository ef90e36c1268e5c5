import { Worker } from '@temporalio/worker';
import { readGuardMemory } from '../../../src/activities/guard/reach-guard';
import type { GuardState } from '../../../src/contract/guard';
import { askFor } from '../../support/shared/ask';
import { taskQueue, withKit, NOBODY, useEnvironment } from '../kit/harness';

const env = useEnvironment();

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

// Guards that a test starts itself, with signals and a state of its own choosing.
describe('the guard', () => {
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
      // It is written down once people were told, which is a turn later.
      const remindedMs = async () =>
        Date.parse((await handle.query<GuardState>('state')).holder?.remindedAt ?? '');
      for (let tries = 0; (await remindedMs()) === Date.parse(since) && tries < 400; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(texts).toEqual([expect.stringContaining('nobody needed a person and still keeps the lease')]);
      expect(await remindedMs()).toBeGreaterThan(Date.parse(since));
      await handle.terminate();
    }));
});
