import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { decodeOptionalSinglePayload } from '@temporalio/common/lib/internal-non-workflow';
import { startTemporal } from '../src/local/temporal';
import { openBench, type Bench } from './environment';
import { median, percentile, round, say, type Results } from './measure';
import { endProgram, startWorker } from './program';
import { measureRun, startRun } from './runs';

/** A dump of this takes longer than two heartbeats: Temporal hears of it before it is over. */
const MEGABYTES = 600;
const POLL_MS = 50;
const DEADLINE_MS = 180_000;
const STEP = 'backUp';

/** Kills one thing in the middle of a step, and mends what does not come back by itself. */
interface Fault {
  name: string;
  what: string;
  strike(): Promise<void>;
  /** Whether another attempt has to come: the one that ran cannot go on. */
  ends: boolean;
}

/**
 * From the kill until Temporal hears again of a step that works: of its next attempt where the one that ran is lost.
 * Every run has to succeed in the end.
 */
export async function measureRecovery(kills: number): Promise<Results> {
  const bench = await openBench({ megabytes: MEGABYTES, worker: false });
  const workers = await Promise.all([startWorker(bench), startWorker(bench)]);
  const { port, uiPort } = bench.temporal;
  const temporal = { current: bench.temporal };
  const frozen: ChildProcess[] = [];
  /** The one that has the step; the other one goes on. */
  const lose = async (handle: WorkflowHandle, signal: NodeJS.Signals): Promise<void> => {
    const identity = (await stepOf(bench, handle))?.identity ?? '';
    const index = workers.findIndex(({ pid }) => identity.includes(` ${pid}@`));
    const [worker] = workers.splice(index, 1);
    worker?.kill(signal);
    if (signal === 'SIGSTOP') frozen.push(worker!);
  };
  const faultsOf = (handle: WorkflowHandle): Fault[] => [
    {
      name: 'worker',
      what: 'SIGKILL of one of two workers',
      ends: true,
      strike: () => lose(handle, 'SIGKILL'),
    },
    {
      name: 'frozen',
      what: 'SIGSTOP of one of two workers, which stays so',
      ends: true,
      strike: () => lose(handle, 'SIGSTOP'),
    },
    {
      name: 'postgres',
      what: 'SIGKILL of PostgreSQL, which is started again at once',
      ends: true,
      strike: async () => {
        await bench.postgres.kill();
        await bench.postgres.restart();
      },
    },
    {
      name: 'server',
      what: 'SIGKILL of the Temporal server, which is started again at once',
      ends: false,
      strike: async () => {
        await temporal.current.kill();
        temporal.current = await startTemporal({
          directory: join(bench.directory, 'temporal'),
          port,
          uiPort,
        });
      },
    },
  ];
  const results: Results = {};
  try {
    await measureRun(bench, 'backUpDatabase');
    for (const index of [0, 1, 2, 3]) {
      const times: number[] = [];
      let fault: Fault | undefined;
      for (let kill = 0; kill < kills; kill += 1) {
        while (workers.length < 2) workers.push(await startWorker(bench));
        const handle = await startRun(bench, 'backUpDatabase');
        fault = faultsOf(handle)[index]!;
        times.push(await recoveryOf(bench, handle, fault));
        for (const one of frozen.splice(0)) one.kill('SIGKILL');
      }
      const { name, what } = fault!;
      say(`${name}: ${times.map((ms) => round(ms, 0)).join(', ')} ms`);
      results[`recovery.${name}Ms`] = {
        value: round(median(times), 0),
        unit: 'ms',
        note: `median of ${kills}, worst ${round(percentile(times, 1), 0)}; ${what}, in the middle of a dump, until the step is at work again`,
      };
    }
    return results;
  } finally {
    for (const one of [...workers, ...frozen]) one.kill('SIGCONT');
    await Promise.all([...workers, ...frozen].map(endProgram));
    if (temporal.current !== bench.temporal) await temporal.current.stop();
    await bench.stop();
  }
}

async function recoveryOf(bench: Bench, handle: WorkflowHandle, { ends, strike }: Fault): Promise<number> {
  const before = await until(bench, handle, (step) => step === undefined || step.phase === 'dump');
  if (before === undefined)
    throw new Error(`${handle.workflowId}: the dump was over before Temporal heard of it`);
  const struckMs = Date.now();
  const struck = strike();
  // A step that is gone has ended, and not because of a failure: the run succeeds.
  await until(
    bench,
    handle,
    (step) =>
      step === undefined || (ends ? step.attempt > before.attempt && atWork(step) : step.beatMs > struckMs),
    true,
  );
  const tookMs = Date.now() - struckMs;
  await struck;
  const { outcome, summary } = (await handle.result()) as { outcome: string; summary: string };
  if (outcome !== 'SUCCEEDED') throw new Error(`${handle.workflowId}: ${summary}`);
  return tookMs;
}

/** It has got through to the database. */
const atWork = ({ phase }: Step): boolean => phase !== undefined && phase !== 'prepare';

interface Step {
  attempt: number;
  identity: string;
  /** Of the last heartbeat of this attempt. */
  phase: string | undefined;
  beatMs: number;
}

async function until(
  bench: Bench,
  handle: WorkflowHandle,
  holds: (step: Step | undefined) => boolean,
  begun = false,
): Promise<Step | undefined> {
  let seen = begun;
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline;) {
    const answer = await stepOf(bench, handle).catch(() => null);
    seen ||= answer !== null && answer !== undefined;
    if (answer !== null && (seen || answer !== undefined) && holds(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${handle.workflowId} made no progress within ${DEADLINE_MS / 1_000} s`);
}

/** The step as Temporal sees it; undefined before it is there and when it has ended. */
async function stepOf({ client }: Bench, handle: WorkflowHandle): Promise<Step | undefined> {
  const { raw } = await client.withDeadline(Date.now() + 1_000, () => handle.describe());
  const step = (raw.pendingActivities ?? []).find(({ activityType }) => activityType?.name === STEP);
  if (step === undefined) return undefined;
  const beatMs = timeOf(step.lastHeartbeatTime);
  const startedMs = timeOf(step.lastStartedTime);
  const details = step.heartbeatDetails?.payloads?.[0];
  const progress = (await decodeOptionalSinglePayload(client.options.loadedDataConverter, details)) as
    { phase?: string } | undefined;
  return {
    attempt: step.attempt ?? 1,
    identity: step.lastWorkerIdentity ?? '',
    phase: beatMs >= startedMs ? progress?.phase : undefined,
    beatMs,
  };
}

const timeOf = (time: { seconds?: unknown; nanos?: number | null } | null | undefined): number =>
  Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1e6;
