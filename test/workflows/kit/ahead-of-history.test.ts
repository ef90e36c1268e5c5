import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { ActivateInput } from '@temporalio/workflow';
import { createDevEnvironment } from '../../support/dev-server';
import { quietTemporal } from '../../support/quiet';
import { interceptors } from '../../../src/workflows/kit/ahead-of-history';
import { askFor } from '../../support/shared/ask';
import { ACTIVITIES } from './ahead/workflow';

quietTemporal();
let env: TestWorkflowEnvironment;
let codePath: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  [env, codePath] = await Promise.all([
    createDevEnvironment(),
    askFor('bundle', require.resolve('./ahead/workflow')),
  ]);
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await env?.teardown();
});

const QUEUE = 'ahead';
const register = join(__dirname, '..', '..', 'cli', 'register.cjs');

function startWorker(): ChildProcess {
  const { address } = env.connection.options;
  const script = join(__dirname, 'ahead', 'worker.ts');
  const child = spawn(process.execPath, ['-r', register, script, address, QUEUE, codePath], {
    stdio: 'inherit',
  });
  children.push(child);
  return child;
}

it('a run is not moved on by a query that the next worker hears first: it decides by its own time and replays', async () => {
  let begun = (): void => undefined;
  let end = (): void => undefined;
  const blocked = new Promise<void>((resolve) => (begun = resolve));
  const ended = new Promise<void>((resolve) => (end = resolve));
  const activities = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: ACTIVITIES,
    activities: {
      block: async () => {
        begun();
        await ended;
      },
    },
  });
  await activities.runUntil(async () => {
    const first = startWorker();
    const handle = await env.client.workflow.start('looksByTheClock', {
      taskQueue: QUEUE,
      workflowId: 'ahead',
    });
    await blocked;
    const gone = new Promise((resolve) => first.once('exit', resolve));
    first.kill('SIGKILL');
    await gone;
    // It goes to the worker that is dead, and to the next one when nobody takes it.
    const asked = handle.query('looks').catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    end();
    const replay = async () =>
      Worker.runReplayHistory({ workflowBundle: { codePath } }, await handle.fetchHistory(), 'ahead');
    // Also while nobody has begun with what is new.
    for (let found = false; !found;) {
      const { events } = await handle.fetchHistory();
      found = events?.some(({ activityTaskCompletedEventAttributes: one }) => one != null) === true;
    }
    await replay();
    startWorker();
    await asked;
    await handle.result();
    await replay();
  });
});

it('nor where a task had begun on a worker that died in it before the query was heard', async () => {
  const { workflowService } = env.client;
  const of = (name: string) => ({ namespace: 'default', taskQueue: { name }, identity: 'dies' });
  /** True where the task was taken while the query still waited: which of the two comes first is the server's to say. */
  const attempt = async (number: number): Promise<boolean> => {
    const [taskQueue, workflowId] = [`dies-${number}`, `dies-${number}`];
    let [begun, end] = [() => undefined as void, () => undefined as void];
    const blocked = new Promise<void>((resolve) => (begun = resolve));
    const ending = new Promise<void>((resolve) => (end = resolve));
    const block = async () => {
      begun();
      await ending;
    };
    const activities = await Worker.create({
      ...{ connection: env.nativeConnection, taskQueue: ACTIVITIES, activities: { block } },
    });
    return activities.runUntil(async () => {
      const uncached = { connection: env.nativeConnection, taskQueue, workflowBundle: { codePath } };
      const first = await Worker.create({ ...uncached, maxCachedWorkflows: 0 });
      const start = { taskQueue, workflowId, workflowTaskTimeout: '5s' } as const;
      const handle = await first.runUntil(async () => {
        const started = await env.client.workflow.start('looksByTheClock', start);
        await blocked;
        return started;
      });
      const asked = handle.query('looks').catch((error: Error) => error.message);
      await new Promise((resolve) => setTimeout(resolve, 300));
      end();
      // It takes the task, and is never heard of again.
      const taken = await env.client.withDeadline(Date.now() + 60_000, () =>
        workflowService.pollWorkflowTaskQueue(of(taskQueue)),
      );
      const isTask = taken.query == null;
      await (
        await Worker.create(uncached)
      ).runUntil(async () => {
        if (isTask) await asked;
        await handle.result();
      });
      await Worker.runReplayHistory(
        { workflowBundle: { codePath } },
        await handle.fetchHistory(),
        workflowId,
      );
      return isTask;
    });
  };
  let number = 1;
  while (!(await attempt(number))) number += 1;
});

it('what is new is refused until a task has begun for it, and not what comes within a task', () => {
  const [guarded] = interceptors().internals!;
  const moved: number[] = [];
  const move = (historyLength: number, seconds: number, historySizeBytes: number, more = {}) => {
    const activation = {
      ...{ historyLength, historySizeBytes, timestamp: { seconds, nanos: 1 } },
      ...{ isReplaying: false, jobs: [{ resolveActivity: {} }] },
      ...more,
    };
    const input = { activation, batchIndex: 0 } as unknown as ActivateInput;
    guarded!.activate!(input, () => void moved.push(historyLength));
  };
  move(3, 10, 300, { isReplaying: true });
  move(3, 11, 300, { isReplaying: true });
  expect(() => move(8, 11, 300)).toThrow(/ask again in a moment/);
  move(9, 20, 900);
  // A local activity of the same task.
  move(9, 20, 900);
  move(14, 20, 1_400);
  move(17, 20, 1_400, { jobs: [{ queryWorkflow: {} }] });
  expect(moved).toEqual([3, 3, 9, 9, 14, 17]);
});

it('a query alone is refused where its history is the one that moved the run, and one that comes with a task is not', () => {
  const [guarded] = interceptors().internals!;
  const query = (historyLength: number, queryId: string, isReplaying = true) => {
    const jobs = [{ queryWorkflow: { queryId } }];
    const activation = { historyLength, historySizeBytes: 900, timestamp: { seconds: 20, nanos: 1 }, jobs };
    const input = { activation: { ...activation, isReplaying }, batchIndex: 0 } as unknown as ActivateInput;
    guarded!.activate!(input, () => undefined);
  };
  const task = (historyLength: number, isReplaying: boolean) => {
    const timestamp = { seconds: historyLength, nanos: 1 };
    const activation = { historyLength, historySizeBytes: historyLength * 100, timestamp, isReplaying };
    const input = { activation: { ...activation, jobs: [{ fireTimer: {} }] }, batchIndex: 0 };
    guarded!.activate!(input as unknown as ActivateInput, () => undefined);
  };
  task(9, true);
  expect(() => query(9, 'legacy_query')).not.toThrow();
  task(14, false);
  expect(() => query(14, 'with-the-task')).not.toThrow();
  expect(() => query(14, 'legacy_query')).toThrow(/ask again in a moment/);
  // The task has ended.
  expect(() => query(16, 'legacy_query')).not.toThrow();
});
