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
