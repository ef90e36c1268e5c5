import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { PACKAGE_ROOT } from '../src/config/version';
import { openBench, type Bench } from './environment';
import { round, say, timed, type Results } from './measure';
import { endProgram, memoryOf, watchMemory } from './program';
import { measureRun, startRun, untilStatus } from './runs';

const MEGABYTES = 12;
const AT_ONCE = 20;
const DEADLINE_MS = 10 * 60_000;

/** Memory of a worker in a process of its own while that many runs wait for an approval. */
export async function measureMemory(runs: number): Promise<Results> {
  const bench = await openBench({ megabytes: MEGABYTES, worker: false });
  const worker = spawn(
    process.execPath,
    [join(PACKAGE_ROOT, 'dist', 'src', 'worker', 'main.js'), bench.configFile],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  try {
    await measureRun(bench, 'backUpDatabase');
    const idleMb = await memoryOf(worker);
    const peakOf = watchMemory(worker);
    const { seconds } = await timed(() => fill(bench, runs));
    say(`${runs} runs wait after ${seconds.toFixed(0)} s`);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const rss = await memoryOf(worker);
    const peak = Math.max(peakOf(), rss);
    return {
      'worker.rssMb': {
        value: round(rss, 0),
        unit: 'MB',
        note: `goal <= 600. ${runs} runs of restoreDatabase in mode propose, each waiting for its approval; a worker in a process of its own that keeps at most 300 of them in memory; ${round(idleMb, 0)} MB before the first, at most ${round(peak, 0)} MB on the way; all were waiting after ${round(seconds, 0)} s`,
      },
    };
  } finally {
    await endProgram(worker);
    await bench.stop();
  }
}

/** Starts the runs and returns when each of them waits for its approval. */
async function fill(bench: Bench, runs: number): Promise<void> {
  const handles: WorkflowHandle[] = [];
  const queue = Array.from({ length: runs }, (_, index) => index);
  const starter = async (): Promise<void> => {
    while (queue.pop() !== undefined) {
      const handle = await startRun(bench, 'restoreDatabase', { mode: 'propose' });
      handles.push(handle);
      await untilWaiting(handle);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, starter));
  // A sample of them says so itself: what was seen from outside was the right thing.
  for (const handle of handles.filter((_, index) => index % Math.ceil(runs / 10) === 0))
    await untilStatus(handle, ({ waiting }) => waiting.some(({ kind }) => kind === 'approval'));
}

/** Seen from outside, because a query would bring each run back into the worker's memory. */
async function untilWaiting(handle: WorkflowHandle): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const { raw, status, historyLength } = await handle.describe();
    if (status.name !== 'RUNNING') throw new Error(`${handle.workflowId} ended as ${status.name}`);
    const idle = (raw.pendingActivities ?? []).length === 0 && raw.pendingWorkflowTask == null;
    if (idle && historyLength >= WAITING_EVENTS) return;
    if (Date.now() > deadline) throw new Error(`${handle.workflowId} never came to wait`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Fewer than a run has that came to its gate, more than one has that was only just started. */
const WAITING_EVENTS = 20;
