import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import type { RunStatus, Waiting } from '../contract/report';
import type { Catalogue } from '../catalogue/catalogue';
import { searchAttributes } from '../contract/search-attributes';
import { inTurns } from '../host/in-turns';

/** A run that waits for a person. */
export interface WaitingRun {
  runId: string;
  service: string;
  runbook: string;
  kind: Waiting['kind'];
  sinceMs: number;
  /** Its way back failed: it keeps everything as it is until somebody has looked. */
  needsHuman: boolean;
}

export interface OpenRuns {
  /** Of every open run. */
  open: { service: string; runbook: string }[];
  waiting: WaitingRun[];
}

// The oldest are asked since when they wait; of more than these the start of the run has to do.
const MAX_ASKED = 50;
const ASKED_AT_ONCE = 10;
const QUERY_MS = 2_000;
const RECENT_MS = 24 * 3_600_000;
const REPAIR = 'repair-';

/** What is open and what of it waits for a person. A run that does not answer now is as it was before. */
export async function readOpenRuns(
  client: Client,
  { cards }: Catalogue,
  answering: boolean,
  before: WaitingRun[],
): Promise<OpenRuns> {
  const types = cards.map(({ name }) => `'${name}'`).join(', ');
  const query = `ExecutionStatus = 'Running' AND WorkflowType IN (${types})`;
  const found: WorkflowExecutionInfo[] = [];
  for await (const info of client.workflow.list({ query })) found.push(info);
  const oldestFirst = found
    .filter((info) => kindOf(info) !== undefined)
    .sort((one, other) => one.startTime.getTime() - other.startTime.getTime());
  const asked = answering ? oldestFirst.slice(0, MAX_ASKED) : [];
  const statuses = await inTurns(asked, ASKED_AT_ONCE, (info) => statusOf(client, info));
  return {
    open: found.map((info) => ({ service: serviceOf(info), runbook: info.type })),
    waiting: oldestFirst.map((info, index) => waitingRun(info, statuses[index], before)),
  };
}

/** Runs of the last day by how they ended, for each service that is configured. */
export interface RecentEndings {
  needsHuman: Map<string, number>;
  partial: Map<string, number>;
}

/** Counts them in one search for all services: one for each would be as many as there are. */
export async function countRecent(client: Client, { services }: LoadedConfig): Promise<RecentEndings> {
  const since = new Date(Date.now() - RECENT_MS).toISOString();
  const query = `RunbookOutcome IN ('NEEDS_HUMAN', 'PARTIAL') AND CloseTime > '${since}'`;
  const none = () => new Map(Object.keys(services).map((name) => [name, 0]));
  const counts = { needsHuman: none(), partial: none() };
  for await (const info of client.workflow.list({ query })) {
    const ended = info.typedSearchAttributes.get(searchAttributes.outcome);
    const count = ended === 'PARTIAL' ? counts.partial : counts.needsHuman;
    const before = count.get(serviceOf(info));
    if (before !== undefined) count.set(serviceOf(info), before + 1);
  }
  return counts;
}

const serviceOf = (info: WorkflowExecutionInfo) =>
  info.typedSearchAttributes.get(searchAttributes.service) ?? '';

const kindOf = (info: WorkflowExecutionInfo) =>
  info.typedSearchAttributes.get(searchAttributes.waiting) as Waiting['kind'] | undefined;

async function statusOf(client: Client, { workflowId, runId }: WorkflowExecutionInfo) {
  try {
    const handle = client.workflow.getHandle(workflowId, runId);
    return await client.withDeadline(Date.now() + QUERY_MS, () => handle.query<RunStatus>('status'));
  } catch {
    // It ended meanwhile, or nobody answers: what the list says has to do.
    return undefined;
  }
}

function waitingRun(
  info: WorkflowExecutionInfo,
  status: RunStatus | undefined,
  before: WaitingRun[],
): WaitingRun {
  const { runId, type, startTime } = info;
  const kind = kindOf(info) ?? 'task';
  const run = { runId, service: serviceOf(info), runbook: type, kind };
  if (status === undefined) {
    const known = before.find((one) => one.runId === runId && one.kind === kind);
    // Longer than since its start it cannot have waited.
    return known ?? { ...run, sinceMs: startTime.getTime(), needsHuman: false };
  }
  const since = status.timeline.findLast((entry) => entry.status === 'waiting')?.startedAt;
  return {
    ...run,
    sinceMs: since === undefined ? startTime.getTime() : Date.parse(since),
    needsHuman: status.waiting.some(({ id }) => id.startsWith(REPAIR)),
  };
}
