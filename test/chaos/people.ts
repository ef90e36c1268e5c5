import type { WorkflowHandle } from '@temporalio/client';
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
    const status = await within(() => handle.query<RunStatus>('status'));
    for (const waiting of status?.waiting ?? []) {
      if (answered.has(waiting.id)) continue;
      const answer = answerTo(waiting, plan);
      if (answer === undefined) continue;
      const said = await within(() => handle.executeUpdate(answer.name, { args: [answer.words] }));
      if (said !== undefined) answered.add(waiting.id);
    }
  }
  return false;
}

/** Who rejects a plan rejects what it asks before it acts, too; a way back is agreed to. */
function answerTo({ kind, update, choices = [], harmless = [] }: Waiting, { says }: RunPlan) {
  const words: Record<string, string> = { ...update.argument, by: 'ben' };
  if (kind === 'approval') return { name: says, words: { plan: words['plan']!, by: 'ben' } };
  if (kind === 'task') return { name: update.name, words: { ...words, note: 'looked at it' } };
  if (kind === 'paused') return undefined;
  const stop = harmless.includes('stop') ? 'stop' : undefined;
  const choice = says === 'reject' && stop !== undefined ? stop : choices[0];
  return { name: update.name, words: { ...words, choice: choice! } };
}
