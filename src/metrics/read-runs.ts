import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import type { Outcome, RunStatus, Waiting } from '../contract/report';
import type { Catalogue } from '../catalogue/catalogue';
import { searchAttributes } from '../contract/search-attributes';
import { inTurns } from './in-turns';

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
  /** Of every open run, at most MAX_OPEN. */
  open: { service: string; runbook: string }[];
  waiting: WaitingRun[];
}

const MAX_OPEN = 500;
// The oldest are asked since when they wait; of more than these the start of the run has to do.
const MAX_ASKED = 50;
const ASKED_AT_ONCE = 10;
const QUERY_MS = 2_000;
const RECENT_MS = 24 * 3_600_000;
const COUNTED_AT_ONCE = 3;
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
  for await (const info of client.workflow.list({ query })) if (found.push(info) >= MAX_OPEN) break;
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

/** Runs of each service that ended as `outcome` within the last day. */
export async function countRecent(
  client: Client,
  { services }: LoadedConfig,
  outcome: Outcome,
): Promise<Map<string, number>> {
  const since = new Date(Date.now() - RECENT_MS).toISOString();
  const names = Object.keys(services);
  const counts = await inTurns(names, COUNTED_AT_ONCE, (name) =>
    client.workflow.count(
      `RunbookService = '${name}' AND RunbookOutcome = '${outcome}' AND CloseTime > '${since}'`,
    ),
  );
  return new Map(names.map((name, index) => [name, counts[index]?.count ?? 0]));
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
