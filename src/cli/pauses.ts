import type { StandingPause } from '../activities/guard/guard-activities';
import { coveringTargets, GUARD_ALL, GUARD_MEMO, GUARD_TYPE, targetOfGuard } from '../contract/guard';
import type { GuardMemory } from '../contract/guard';
import { quote } from '../contract/answer-commands';
import { utc } from '../contract/text';
import type { Temporal } from './connect';

type Client = Temporal['client'];

/** Those of these targets that are paused themselves, as runs read it. */
export async function pausesOf(client: Client, targets: Iterable<string>): Promise<StandingPause[]> {
  const { readGuardMemory } = await import('../activities/guard/reach-guard.js');
  const found = await Promise.all(
    [...new Set(targets)].map(async (target) => {
      const paused = (await readGuardMemory(client, target))?.memory?.paused ?? null;
      return paused === null ? [] : [{ target, ...paused }];
    }),
  );
  return found.flat();
}

/** Every pause that holds something back, whatever the configuration says of its target. */
export async function standingPauses(client: Client): Promise<StandingPause[]> {
  const targets = [GUARD_ALL];
  // One that continued as new runs on.
  const query = `WorkflowType = '${GUARD_TYPE}' AND ExecutionStatus != 'ContinuedAsNew'`;
  for await (const { workflowId, memo } of client.workflow.list({ query })) {
    const paused = (memo?.[GUARD_MEMO] as GuardMemory | undefined)?.paused ?? null;
    if (paused !== null) targets.push(targetOfGuard(workflowId));
  }
  return pausesOf(client, targets);
}

/** Whether a pause of that target holds back some of what a run on `target` does, or all of it. */
export function concerns(target: string, { target: paused }: StandingPause): boolean {
  return target === GUARD_ALL || coveringTargets(target).includes(paused) || paused.startsWith(`${target}/`);
}

/** Who paused it, why, and what ends that. */
export function pauseText({ target, by, at, reason }: StandingPause): string {
  const what = target === GUARD_ALL ? 'Everything' : target;
  return `${what} is paused by ${by} since ${utc(at)} UTC: ${reason}. \`${resumeCommand(target)}\` ends that.`;
}

export function resumeCommand(target: string): string {
  return `runbooks resume${target === GUARD_ALL ? '' : ` --target ${quote(target)}`} --reason "..."`;
}
