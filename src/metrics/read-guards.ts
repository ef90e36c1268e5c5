import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import {
  GUARD_ALL,
  GUARD_TYPE,
  guardId,
  targetOfGuard,
  GUARD_MEMO,
  type GuardMemory,
  type GuardState,
} from '../contract/guard';
import { inTurns } from '../host/in-turns';

/** What is asked of a guard, by its target. */
export interface GuardView {
  target: string;
  paused: boolean;
  held: boolean;
  /** Runs that wait for the lease or for a place; undefined where it was not asked. */
  waiting?: number;
  /** Runbooks whose breaker is open for at least one alert. */
  open: string[];
  /** Highest mode of runbooks that were lowered. */
  ceilings: Record<string, string>;
}

/** Each is a task for a worker; of the others their memory says all but who waits. */
const MAX_ASKED = 100;
const ASKED_AT_ONCE = 10;
const QUERY_MS = 2_000;

export interface ReadGuards {
  guards: GuardView[];
  /** Those of which is not known who waits. */
  unasked: number;
}

/**
 * Every guard: its answer; of more than can be asked at a time, and of those that were ended and not followed yet, what their
 * memory says. One that does not answer now is as it was before, or as it remembers, or left out.
 */
export async function readGuards(
  client: Client,
  answering: boolean,
  before: GuardView[],
): Promise<ReadGuards> {
  if (!answering) return { guards: before, unasked: 0 };
  const { memories, gone } = await findGuards(client);
  const ids = [...memories.keys()].sort(
    (one, other) => urgency(memories.get(other)) - urgency(memories.get(one)),
  );
  const asked = [guardId(GUARD_ALL), ...ids.filter((id) => id !== guardId(GUARD_ALL))]
    .filter((id) => !gone.has(id))
    .slice(0, MAX_ASKED);
  const answers = await inTurns(asked, ASKED_AT_ONCE, (id) => ask(client, id));
  const answerOf = new Map(asked.map((id, index) => [id, answers[index]]));
  const guards = ids.map((id) => {
    const answer = answerOf.get(id);
    const memory = memories.get(id);
    if (answer !== undefined) return viewOf(answer);
    const own = memory === undefined ? undefined : remembered(id, memory);
    if (!asked.includes(id)) return own;
    return before.find(({ target }) => guardId(target) === id) ?? own;
  });
  return { guards: guards.filter((view) => view !== undefined), unasked: ids.length - asked.length };
}

/** The newest of each; what one that was ended remembers still counts. */
async function findGuards(
  client: Client,
): Promise<{ memories: Map<string, GuardMemory | undefined>; gone: Set<string> }> {
  // One that continued as new runs on.
  const query = `WorkflowType = '${GUARD_TYPE}' AND ExecutionStatus != 'ContinuedAsNew'`;
  const newest = new Map<string, WorkflowExecutionInfo>();
  for await (const info of client.workflow.list({ query })) {
    const known = newest.get(info.workflowId);
    if (known === undefined || info.startTime > known.startTime) newest.set(info.workflowId, info);
  }
  // The kill switch must be known however many targets there are.
  const memories = new Map<string, GuardMemory | undefined>([[guardId(GUARD_ALL), undefined]]);
  for (const [id, { memo }] of newest) memories.set(id, memo?.[GUARD_MEMO] as GuardMemory | undefined);
  const ended = [...newest].filter(([, { status }]) => status.name !== 'RUNNING' && status.name !== 'PAUSED');
  return { memories, gone: new Set(ended.map(([id]) => id)) };
}

/** Somebody may wait for one that is held or paused. */
const urgency = (memory: GuardMemory | undefined): number =>
  Number(memory !== undefined && (memory.holder !== null || memory.paused !== null));

async function ask(client: Client, workflowId: string): Promise<GuardState | undefined> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    return await client.withDeadline(Date.now() + QUERY_MS, () => handle.query<GuardState>('state'));
  } catch {
    return undefined;
  }
}

function viewOf({ target, waiting, queue, breaker, ...state }: GuardState): GuardView {
  const { open, ceilings } = breaker;
  return {
    ...remembered(guardId(target), { ...state, open, ceilings }),
    waiting: waiting.length + queue.length,
  };
}

function remembered(
  id: string,
  { paused, holder, open, ceilings }: Pick<GuardMemory, 'paused' | 'holder' | 'open' | 'ceilings'>,
): GuardView {
  const now = Date.now();
  return {
    target: targetOfGuard(id),
    paused: paused !== null,
    held: holder !== null,
    open: [...new Set(open.filter(({ until }) => Date.parse(until) > now).map(({ runbook }) => runbook))],
    ceilings: Object.fromEntries(Object.entries(ceilings).map(([name, { mode }]) => [name, mode])),
  };
}
