import type { Client } from '@temporalio/client';
import { openAt } from '../workflows/guard/breaker';
import { GUARD_ALL, GUARD_TYPE, guardId, type GuardState } from '../contract/guard';
import { inTurns } from './in-turns';

/** What is asked of a guard, by its target. */
export interface GuardView {
  target: string;
  paused: boolean;
  held: boolean;
  /** Runs that wait for the lease or for a place. */
  waiting: number;
  /** Runbooks whose breaker is open for at least one alert. */
  open: string[];
  /** Highest mode of runbooks that were lowered. */
  ceilings: Record<string, string>;
}

const MAX_GUARDS = 100;
const ASKED_AT_ONCE = 10;
const QUERY_MS = 2_000;

/** Asks every guard. One that does not answer now is as it was before, or left out: nothing is known about it. */
export async function readGuards(
  client: Client,
  answering: boolean,
  before: GuardView[],
): Promise<GuardView[]> {
  if (!answering) return before;
  const query = `WorkflowType = '${GUARD_TYPE}' AND ExecutionStatus = 'Running'`;
  // The kill switch must be known however many targets there are.
  const ids = new Set([guardId(GUARD_ALL)]);
  for await (const { workflowId } of client.workflow.list({ query }))
    if (ids.add(workflowId).size >= MAX_GUARDS) break;
  const views = await inTurns([...ids], ASKED_AT_ONCE, async (id) => {
    const state = await ask(client, id);
    return state === undefined ? before.find(({ target }) => guardId(target) === id) : viewOf(state);
  });
  return views.filter((view) => view !== undefined);
}

async function ask(client: Client, workflowId: string): Promise<GuardState | undefined> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    return await client.withDeadline(Date.now() + QUERY_MS, () => handle.query<GuardState>('state'));
  } catch {
    return undefined;
  }
}

function viewOf({ target, paused, holder, waiting, queue, breaker }: GuardState): GuardView {
  return {
    target,
    paused: paused !== null,
    held: holder !== null,
    waiting: waiting.length + queue.length,
    open: [...new Set(openAt(breaker, Date.now()).map(({ runbook }) => runbook))],
    ceilings: Object.fromEntries(Object.entries(breaker.ceilings).map(([name, { mode }]) => [name, mode])),
  };
}
