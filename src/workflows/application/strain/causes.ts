import type { Deployment } from '../../../activities/deployments/deployment-list';
import type { Measured } from '../../../activities/observe/measure';
import type { Adjustment } from '../../../config/operation-schema';
import { countOf, duration } from '../../../contract/text';
import { currentOf, earlierThan } from '../choose-deployment';
import { nameOf } from '../name-deployment';
import { suspectOf } from '../suspect-deployment';
import type { StrainFacts } from './facts';
import { isBad } from './strain';

/** What can be done about an application under strain. */
export type Remedy =
  | { kind: 'rollBack'; from: Deployment; to: Deployment }
  | { kind: 'relievePool' }
  | { kind: 'tuneQueries' }
  | { kind: 'adjust'; adjustment: Adjustment }
  | { kind: 'restart' }
  | { kind: 'byHand'; task: string };

/** A probable cause, what speaks for it, and what to do about it. */
export interface Cause {
  cause: string;
  evidence: string;
  remedy: Remedy;
}

const ADJUSTMENT_LABELS: Record<Adjustment, string> = {
  raiseCacheTtl: 'keep answers longer in the cache',
  scaleUp: 'scale up',
  raiseMemoryLimit: 'raise the memory limit',
};

/** A remedy in words: its name in plans and questions, and how one that was tried is known again. */
export function labelOf(remedy: Remedy): string {
  switch (remedy.kind) {
    case 'rollBack':
      return `roll back ${nameOf(remedy.from)} to ${nameOf(remedy.to)}`;
    case 'relievePool':
      return 'relieve the connection pool';
    case 'tuneQueries':
      return 'tune the slow queries';
    case 'adjust':
      return ADJUSTMENT_LABELS[remedy.adjustment];
    case 'restart':
      return 'restart the application';
    case 'byHand':
      return 'by hand';
  }
}

/** Numbers in a task change from look to look: what people are asked is the same where its cause is. */
export function isSameTry(one: Cause, other: Cause): boolean {
  if (one.remedy.kind === 'byHand' && one.cause !== other.cause) return false;
  return labelOf(one.remedy) === labelOf(other.remedy);
}

/** Everything that is configured, for a person to choose from when nothing speaks for anything. */
export function remediesOf({ remedies, deployments, adjustments }: StrainFacts): Remedy[] {
  const current = currentOf(deployments);
  const target = current === undefined ? undefined : earlierThan(current, deployments);
  return [
    ...(current !== undefined && target !== undefined
      ? [{ kind: 'rollBack' as const, from: current, to: target }]
      : []),
    ...adjustments
      .filter((adjustment) => remedies.adjustments.includes(adjustment))
      .map((adjustment) => ({ kind: 'adjust' as const, adjustment })),
    ...(remedies.restart ? [{ kind: 'restart' as const }] : []),
    { kind: 'tuneQueries' },
    { kind: 'relievePool' },
  ];
}

/** A measure that tells the cause and is out of its band; undefined where it is well, not known or not configured. */
export function badClue({ clues }: StrainFacts, name: string): Measured | undefined {
  return clues.find((one) => one.name === name && isBad(one));
}

/** The symptom itself, where it is out of its band. */
export function badSymptom({ strain }: StrainFacts, name: string): Measured | undefined {
  return strain.measured.find((one) => one.name === name && isBad(one));
}

export function poolExhausted(facts: StrainFacts): Cause[] {
  const { pool, connections, remedies } = facts;
  const idle = (connections?.offenders ?? []).filter(({ offence }) => offence === 'idle in transaction');
  const own = pool?.max && pool.used !== null ? pool.used / pool.max : 0;
  const measured = badClue(facts, 'pool-utilisation');
  const isFull = own >= remedies.maxUtilisation || measured !== undefined;
  if (!isFull && idle.length === 0) return [];
  const evidence = [
    measured?.detail,
    isFull ? pool?.detail : undefined,
    idle.length === 0 ? undefined : `${countOf(idle.length, 'session')} idle in a transaction`,
  ];
  return [
    {
      cause: isFull ? 'the connections are exhausted' : 'forgotten transactions hold their locks',
      evidence: evidence.filter((text) => text !== undefined).join('; '),
      remedy: { kind: 'relievePool' },
    },
  ];
}

/** Going back is quick, and shows at once whether it was that: before everything that takes longer. */
export function deploymentSuspect({ deployments, remedies, beganAtMs, trouble }: StrainFacts): Cause[] {
  const { suspectMs } = remedies;
  const found = suspectOf(deployments, { suspectMs, beganAtMs }, trouble);
  if (found === undefined) return [];
  const { current, cause, evidence } = found;
  const to = earlierThan(current, deployments);
  const task = `Probably ${cause}: ${evidence}. There is nothing to go back to: deploy a corrected version.`;
  return [
    {
      cause,
      evidence,
      remedy: to === undefined ? { kind: 'byHand', task } : { kind: 'rollBack', from: current, to },
    },
  ];
}

export function queriesSlow(facts: StrainFacts): Cause[] {
  const { queries, connections } = facts;
  const measured = badClue(facts, 'slow-query');
  const slow = queries?.slow ?? [];
  const running = (connections?.offenders ?? []).filter(({ offence }) => offence === 'long query');
  if (measured === undefined && slow.length === 0 && running.length === 0) return [];
  const [worst] = slow;
  const evidence = [
    measured?.detail,
    worst === undefined
      ? undefined
      : `${countOf(slow.length, 'statement')} over ${duration(queries!.settings.slowMs)} on average, e.g. ${duration(worst.meanMs)}: ${briefly(worst.text)}`,
    running[0] === undefined
      ? undefined
      : `${running.length === 1 ? 'one long query' : `${running.length} long queries`}, e.g. pid ${running[0].pid}: ${briefly(running[0].query)}`,
  ];
  return [
    {
      cause: 'queries are slow',
      evidence: evidence.filter((text) => text !== undefined).join('; '),
      remedy: { kind: 'tuneQueries' },
    },
  ];
}

/** What a measure tells, and an adjustment mends; a person where none is configured. */
export function adjustFor(
  facts: StrainFacts,
  clue: Measured | undefined,
  { cause, adjustment }: { cause: string; adjustment: Adjustment },
): Cause[] {
  if (clue === undefined) return [];
  if (facts.remedies.adjustments.includes(adjustment))
    return [{ cause, evidence: clue.detail, remedy: { kind: 'adjust', adjustment } }];
  const task = `application.${adjustment} is not configured: ${ADJUSTMENT_LABELS[adjustment]} by hand.`;
  return byHandFor(clue, { cause, task });
}

/** What a measure tells, and a restart ends; a person where none is configured. */
export function restartFor({ remedies }: StrainFacts, clue: Measured | undefined, cause: string): Cause[] {
  if (clue === undefined) return [];
  if (remedies.restart) return [{ cause, evidence: clue.detail, remedy: { kind: 'restart' } }];
  const task = 'application.restart is not configured: restart the application by hand.';
  return byHandFor(clue, { cause, task });
}

/** What a measure tells, and only a person can mend. */
export function byHandFor(
  clue: Measured | undefined,
  { cause, task }: { cause: string; task: string },
): Cause[] {
  if (clue === undefined) return [];
  const said = `Probably ${cause}: ${clue.detail}. ${task}`;
  return [{ cause, evidence: clue.detail, remedy: { kind: 'byHand', task: said } }];
}

const MAX_QUERY = 120;

function briefly(query: string): string {
  return query.replace(/\s+/g, ' ').slice(0, MAX_QUERY);
}
