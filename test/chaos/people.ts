import type { Client, WorkflowHandle } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunStatus, Waiting } from '../../src/contract/report';
import type { RunPlan } from './draw';
import type { World } from './world';

const EVERY_MS = 300;
const CALL_MS = 3_000;

/** Answers what a run asks, as its plan says, until it is over. Returns false where that takes longer than the patience. */
export async function attend(
  { driver: { stack } }: World,
  handle: WorkflowHandle,
  plan: RunPlan,
  untilMs: () => number,
): Promise<boolean> {
  const { client } = stack;
  const within = <T>(body: () => Promise<T>): Promise<T | undefined> =>
    client.withDeadline(Date.now() + CALL_MS, body).catch(() => undefined);
  const answered = new Set<string>();
  const startedMs = Date.now();
  let cancelled = false;
  for (; Date.now() < untilMs(); await sleep(EVERY_MS)) {
    const found = await within(() => handle.describe());
    if (found !== undefined && found.status.name !== 'RUNNING') return true;
    if (!cancelled && Date.now() - startedMs > (plan.cancelAfterMs ?? Infinity))
      cancelled = (await within(() => handle.cancel())) !== undefined;
    // What it starts asks for itself.
    const children = plan.kind === 'resolve errors' ? await within(() => childrenOf(client, handle)) : [];
    for (const one of [handle, ...(children ?? [])]) {
      const status = await within(() => one.query<RunStatus>('status'));
      for (const waiting of status?.waiting ?? []) {
        const question = `${one.workflowId} ${waiting.id}`;
        const answer = answered.has(question) ? undefined : answerTo(waiting, plan);
        if (answer === undefined) continue;
        const said = await within(() => one.executeUpdate(answer.name, { args: [answer.words] }));
        if (said !== undefined) answered.add(question);
      }
    }
  }
  return false;
}

async function childrenOf(client: Client, { workflowId }: WorkflowHandle): Promise<WorkflowHandle[]> {
  const query = `WorkflowId STARTS_WITH '${workflowId}/' AND ExecutionStatus = 'Running'`;
  const children: WorkflowHandle[] = [];
  for await (const child of client.workflow.list({ query }))
    children.push(client.workflow.getHandle(child.workflowId));
  return children;
}

/** Who rejects a plan rejects what it asks before it acts, too; a way back is agreed to. */
function answerTo({ kind, update, choices = [], harmless = [] }: Waiting, plan: RunPlan) {
  const { says } = plan;
  const words: Record<string, string> = { ...update.argument, by: 'ben' };
  if (kind === 'approval') return { name: says, words: { plan: words['plan']!, by: 'ben' } };
  if (kind === 'task') return { name: update.name, words: { ...words, note: 'looked at it' } };
  if (kind === 'paused') return undefined;
  const stop =
    kind === 'decision' ? harmless.find((one) => one === 'stop' || plan.twice === true) : undefined;
  const choice = says === 'reject' && stop !== undefined ? stop : choices[0];
  return { name: update.name, words: { ...words, choice: choice! } };
}
