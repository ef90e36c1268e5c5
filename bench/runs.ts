import type { WorkflowHandle } from '@temporalio/client';
import type { RunReport, RunStatus } from '../src/contract/report';
import type { Bench } from './environment';
import { timed } from './measure';

export interface MeasuredRun {
  workflowId: string;
  seconds: number;
  report: RunReport;
}

let count = 0;

/** Starts a runbook as the command does. */
export async function startRun(
  { client, config }: Bench,
  runbook: string,
  input: Record<string, unknown> = {},
): Promise<WorkflowHandle> {
  count += 1;
  return client.workflow.start(runbook, {
    taskQueue: config.temporal.taskQueue,
    workflowId: `${runbook}/bench-${count}`,
    args: [{ service: 'booking', startedBy: 'bench', ...input }],
  });
}

/** Wall time from the request to the result. Throws when the run does not succeed: a failure would look fast. */
export async function measureRun(
  bench: Bench,
  runbook: string,
  input: Record<string, unknown> = {},
): Promise<MeasuredRun> {
  const { seconds, result } = await timed(async () => {
    const handle = await startRun(bench, runbook, input);
    return { workflowId: handle.workflowId, report: (await ended(handle)) as RunReport };
  });
  if (result.report.outcome !== 'SUCCEEDED') throw new Error(`${runbook}: ${result.report.summary}`);
  return { seconds, ...result };
}

async function ended(handle: WorkflowHandle): Promise<unknown> {
  try {
    return await handle.result();
  } catch (error) {
    throw new Error(`${handle.workflowId}: ${(error as { cause?: Error }).cause?.message ?? String(error)}`);
  }
}

/** Polls a run's status until it holds; throws after a minute. */
export async function untilStatus(
  handle: WorkflowHandle,
  holds: (status: RunStatus) => boolean,
  timeoutMs = 120_000,
): Promise<RunStatus> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const status = await handle.query<RunStatus>('status').catch(() => undefined);
    if (status !== undefined && holds(status)) return status;
    if (status?.outcome !== undefined || Date.now() > deadline)
      throw new Error(`${handle.workflowId} never got there: ${status?.summary ?? 'no answer'}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Seconds of each line of a run's timeline, by its title. */
export function timelineSeconds(report: RunReport): Record<string, number> {
  const lines = report.timeline.filter(({ status, endedAt }) => status === 'done' && endedAt !== undefined);
  const seconds: Record<string, number> = {};
  for (const { title, startedAt, endedAt } of lines)
    seconds[title] = (seconds[title] ?? 0) + (Date.parse(endedAt!) - Date.parse(startedAt)) / 1_000;
  return seconds;
}

/** The slowest lines of a timeline, for whoever asks where the time goes. */
export function slowest(report: RunReport, lines = 8): string {
  return Object.entries(timelineSeconds(report))
    .sort(([, a], [, b]) => b - a)
    .slice(0, lines)
    .map(([title, took]) => `${title.replace(/\d{8}-\d{6}-[0-9a-f]+/g, 'the backup')} ${took.toFixed(2)}`)
    .join(', ');
}
