import type { GuardState } from '../src/contract/guard';
import type { PlacesState } from '../src/contract/places';
import type { Bench } from './environment';
import { pauseOnce } from './kill-switch';
import { median, percentile, round, say, timed, type Results } from './measure';
import { endProgram, memoryOf, startWorker, watchMemory } from './program';
import { openShortBench, runAll, serviceName, SHORT, start, until, warmUp } from './short-runs';

const MAX_RATE_RUNS = 300;
const TIMES = 2;
const STARTERS = 20;
const LOOK_EVERY_MS = 5_000;
const PAUSE_EVERY_MS = 5_000;
/** Of the time that the overload lasted. What takes longer than that does not drain. */
const PATIENCE = 4;

/** Twice the rate that it can hold, for so long, and then nothing new until the last run has ended. */
export async function measureOverload(seconds: number): Promise<Results> {
  const bench = await openShortBench(false);
  const worker = await startWorker(bench);
  const peakOf = watchMemory(worker);
  const watching = { over: false };
  try {
    const warm = await warmUp(bench);
    const idleMb = await memoryOf(worker);
    const first = Math.min(MAX_RATE_RUNS, Math.ceil(5 * seconds));
    const rate = first / (await runAll(bench, 'the rate that it can hold', first)).seconds;
    const backlog = watchBacklog(bench, watching);
    const pauses = pauseNowAndThen(bench, watching);
    const sent = Math.round(TIMES * rate * seconds);
    const sending = await timed(() => send(bench, TIMES * rate, sent));
    const left = await open(bench);
    say(`sent ${sent} in ${round(sending.seconds, 0)} s, ${left} are open`);
    const deadline = Date.now() + PATIENCE * seconds * 1_000;
    const drain = await timed(async () => {
      while ((await open(bench)) > 0) {
        if (Date.now() > deadline)
          throw new Error(`${await open(bench)} runs are still open: it does not drain`);
        await pause(1_000);
      }
    });
    watching.over = true;
    const most = await backlog;
    const took = await pauses;
    const total = warm + first + sent;
    await nothingLost(bench, total);
    const rss = peakOf();
    return {
      'overload.drainSeconds': {
        value: round(drain.seconds, 0),
        unit: 's',
        note: `goal <= ${seconds}. ${sent} short runs over all services in ${round(sending.seconds, 0)} s (${round(sent / sending.seconds, 1)} a second), where ${round(rate, 1)} a second are what it holds; from the last of them until none is open. At most ${most} were open, ${left} at the end of the sending; all ${total} completed, no place and no admission was left`,
      },
      'overload.pauseMs': {
        value: round(percentile(took, 1), 0),
        unit: 'ms',
        note: `goal < 1,000, worst of ${took.length} meanwhile; median ${round(median(took), 0)}. From the order until every gate and every change reads it`,
      },
      'overload.workerRssMb': {
        value: round(rss, 0),
        unit: 'MB',
        note: `the most memory of the worker, in a process of its own, meanwhile; ${round(idleMb, 0)} MB before`,
      },
    };
  } finally {
    watching.over = true;
    peakOf();
    await endProgram(worker);
    await bench.stop();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Each when it is due, whatever became of those before it. */
async function send(bench: Bench, perSecond: number, count: number): Promise<void> {
  const began = Date.now();
  let next = 0;
  const starter = async (): Promise<void> => {
    for (let index = (next += 1); index <= count; index = next += 1) {
      await pause(Math.max(0, began + (index / perSecond) * 1_000 - Date.now()));
      await start(bench, SHORT, serviceName(index));
    }
  };
  await Promise.all(Array.from({ length: STARTERS }, starter));
}

async function countOf({ client }: Bench, status: string): Promise<number> {
  const query = `WorkflowType = '${SHORT}' AND ExecutionStatus = '${status}'`;
  return (await client.workflow.count(query)).count;
}

const open = (bench: Bench) => countOf(bench, 'Running');

/** The most that were open at a time. */
async function watchBacklog(bench: Bench, watching: { over: boolean }): Promise<number> {
  let most = 0;
  while (!watching.over) {
    most = Math.max(most, await open(bench));
    await pause(LOOK_EVERY_MS);
  }
  return most;
}

/** Milliseconds from each order until it is read. */
async function pauseNowAndThen(bench: Bench, watching: { over: boolean }): Promise<number[]> {
  const took: number[] = [];
  while (!watching.over) {
    took.push(await pauseOnce(bench));
    await pause(PAUSE_EVERY_MS);
  }
  return took;
}

async function nothingLost(bench: Bench, total: number): Promise<void> {
  await until(async () => (await countOf(bench, 'Completed')) === total).catch(async () => {
    throw new Error(`${await countOf(bench, 'Completed')} of ${total} runs completed`);
  });
  const { client } = bench;
  for await (const { workflowId, type } of client.workflow.list({
    query: "WorkflowType IN ('guard', 'places') AND ExecutionStatus = 'Running'",
  })) {
    const handle = client.workflow.getHandle(workflowId);
    await until(async () => {
      if (type === 'places') {
        const { taken, queue } = await handle.query<PlacesState>('state');
        return taken.length + queue.length === 0;
      }
      const { breaker, queue } = await handle.query<GuardState>('state');
      return breaker.running.length + queue.length === 0;
    }).catch(() => {
      throw new Error(`${workflowId} still has runs that ended`);
    });
  }
}
