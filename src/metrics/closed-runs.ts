import type { Client, WorkflowExecutionInfo } from '@temporalio/client';

/** A stretch of time whose ended runs are still to be read. Unix milliseconds; without an end it reaches until now. */
export interface Unread {
  fromMs: number;
  untilMs?: number;
}

const LATE_MS = 60_000;
/** Each may carry a report. */
const LIMITS = { pageSize: 100, maxRuns: 4_000 };
const READ_MS = 2_000;

export const EVERYTHING: readonly Unread[] = [{ fromMs: 0 }];

/**
 * Reads runs that have ended, each stretch from its newest on, as many as fit into one reading; `take` gets each, some
 * more than once. Returns what is left: what ended since then, and, while the past is long, the rest of it.
 */
export async function readClosed(
  client: Client,
  query: string,
  unread: readonly Unread[],
  take: (run: WorkflowExecutionInfo & { closeTime: Date }) => void,
  { pageSize, maxRuns } = LIMITS,
): Promise<Unread[]> {
  const deadline = Date.now() + READ_MS;
  const left: Unread[] = [];
  let newestMs = 0;
  let read = 0;
  for (const stretch of unread) {
    let oldestMs = stretch.untilMs;
    let finished = true;
    for await (const run of client.workflow.list({ query: within(query, stretch), pageSize })) {
      const { closeTime } = run;
      if (closeTime === undefined) continue;
      newestMs = Math.max(newestMs, closeTime.getTime());
      oldestMs = closeTime.getTime();
      take({ ...run, closeTime });
      read += 1;
      finished = read % pageSize !== 0 || (read < maxRuns && Date.now() < deadline);
      if (!finished) break;
    }
    if (!finished && oldestMs !== undefined && oldestMs > stretch.fromMs)
      left.push({ fromMs: stretch.fromMs, untilMs: oldestMs });
    if (stretch.untilMs === undefined) left.unshift({ fromMs: Math.max(stretch.fromMs, newestMs) });
  }
  return left;
}

function within(query: string, { fromMs, untilMs }: Unread): string {
  const at = (ms: number): string => `'${new Date(ms).toISOString()}'`;
  return [
    query,
    `ExecutionStatus != 'Running'`,
    // What is known up to then is looked through once more: a search finds a run only a moment after it has ended.
    `CloseTime >= ${at(untilMs === undefined ? Math.max(0, fromMs - LATE_MS) : fromMs)}`,
    ...(untilMs === undefined ? [] : [`CloseTime < ${at(untilMs + 1)}`]),
  ].join(' AND ');
}
