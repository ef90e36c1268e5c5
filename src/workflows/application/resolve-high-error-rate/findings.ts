import type { Deployment } from '../../../activities/deployments/deployment-list';
import { currentOf, earlierThan } from '../choose-deployment';
import { failingChecks, type ErrorFacts } from './facts';
import { nameOf } from '../name-deployment';
import { suspectOf } from '../suspect-deployment';

/** What can be done about failing requests. */
export type Remedy =
  | { kind: 'rollBack'; from: Deployment; to: Deployment }
  | { kind: 'relievePool' }
  | { kind: 'restart' }
  | { kind: 'switchOff'; feature: string }
  | { kind: 'raiseLimits'; forMs: number }
  | { kind: 'contact'; name: string; contact?: string; detail: string }
  | { kind: 'byHand'; task: string };

/** A probable cause, what speaks for it, and what to do about it. */
export interface Cause {
  cause: string;
  evidence: string;
  remedy: Remedy;
}

/** A remedy in words: its name in plans and questions, and how one that was tried is known again. */
export function labelOf(remedy: Remedy): string {
  switch (remedy.kind) {
    case 'rollBack':
      return `roll back ${nameOf(remedy.from)} to ${nameOf(remedy.to)}`;
    case 'relievePool':
      return 'relieve the connection pool';
    case 'restart':
      return 'restart the application';
    case 'switchOff':
      return `switch off ${remedy.feature}`;
    case 'raiseLimits':
      return 'raise the rate limits';
    case 'contact':
      return `contact ${remedy.name}`;
    case 'byHand':
      return 'by hand';
  }
}

/**
 * Every cause that the facts speak for, in the order in which they are dealt with. What is measured now comes before what
 * is only near in time, and limits come last: clients that get errors try again, and so hit them.
 */
export function findingsOf(facts: ErrorFacts): Cause[] {
  return [
    ...databaseAway(facts),
    ...othersDown(facts),
    ...poolExhausted(facts),
    ...featuresBroken(facts),
    ...deploymentSuspect(facts),
    ...limitsHit(facts),
    ...silent(facts),
    ...variablesMissing(facts),
    ...onlyByHand(facts),
  ];
}

/** Everything that is configured, for a person to choose from when nothing speaks for anything. */
export function remediesOf({ remedies, deployments }: ErrorFacts): Remedy[] {
  const current = currentOf(deployments);
  const target = current === undefined ? undefined : earlierThan(current, deployments);
  return [
    ...(current !== undefined && target !== undefined
      ? [{ kind: 'rollBack' as const, from: current, to: target }]
      : []),
    ...(remedies.restart ? [{ kind: 'restart' as const }] : []),
    ...remedies.features.map((feature) => ({ kind: 'switchOff' as const, feature })),
    { kind: 'relievePool' },
    ...(remedies.raiseLimitsMs === null
      ? []
      : [{ kind: 'raiseLimits' as const, forMs: remedies.raiseLimitsMs }]),
  ];
}

function databaseAway({ database, symptoms }: ErrorFacts): Cause[] {
  if (database === null || database.reachable || database.full) return [];
  // Where every check of the application holds, only the way from here to the database is broken.
  if (symptoms.checks > 0 && symptoms.failing.length === 0) return [];
  const task = `The database gives no answer (${database.detail}). Bring it back; nothing here can help before.`;
  return [{ cause: 'the database is away', evidence: database.detail, remedy: { kind: 'byHand', task } }];
}

function othersDown({ external }: ErrorFacts): Cause[] {
  return external
    .filter(({ state }) => state === 'unhealthy')
    .map(({ name, contact, detail }) => ({
      cause: `${name} is in trouble`,
      evidence: `its status page ${detail}`,
      remedy: { kind: 'contact', name, detail, ...(contact === undefined ? {} : { contact }) },
    }));
}

function poolExhausted({ database, pool, remedies: { maxUtilisation } }: ErrorFacts): Cause[] {
  const server = database?.utilisation ?? 0;
  const own = pool?.max && pool.used !== null ? pool.used / pool.max : 0;
  const waiting = pool?.waiting ?? 0;
  const full = server >= maxUtilisation || (own >= maxUtilisation && waiting > 0) || own >= 1;
  if (!full) return [];
  const evidence = [database?.detail ?? '', pool?.detail ?? ''].filter((text) => text !== '').join('; ');
  return [{ cause: 'the connections are exhausted', evidence, remedy: { kind: 'relievePool' } }];
}

function featuresBroken({ detailed, remedies }: ErrorFacts): Cause[] {
  return failingChecks(detailed?.body)
    .filter(({ name }) => remedies.features.includes(name))
    .map(({ name, detail }) => ({
      cause: `the feature ${name} is broken`,
      evidence: `its check in the detailed health fails: ${detail}`,
      remedy: { kind: 'switchOff', feature: name },
    }));
}

function deploymentSuspect(facts: ErrorFacts): Cause[] {
  const found = suspectIn(facts);
  const to = found === undefined ? undefined : earlierThan(found.current, facts.deployments);
  if (found === undefined || to === undefined) return [];
  const { current, cause, evidence } = found;
  return [{ cause, evidence, remedy: { kind: 'rollBack', from: current, to } }];
}

function suspectIn({ deployments, remedies: { suspectMs }, beganAtMs }: ErrorFacts) {
  return suspectOf(deployments, { suspectMs, beganAtMs }, 'errors');
}

const LIMITS = 'the rate limits turn customers away';

function limitsHit({ rateLimits, remedies: { raiseLimitsMs } }: ErrorFacts): Cause[] {
  if (rateLimits === null || !rateLimits.tooMany || raiseLimitsMs === null) return [];
  return [
    { cause: LIMITS, evidence: rateLimits.detail, remedy: { kind: 'raiseLimits', forMs: raiseLimitsMs } },
  ];
}

/** Nothing here sets them. Last of what is tried: the version before ran with the same ones. */
function variablesMissing({ variables }: ErrorFacts): Cause[] {
  if (variables === null || variables.missing.length === 0) return [];
  const evidence = variables.missing.join(', ');
  const task = `The application lacks environment variables: ${evidence}. Set them where its platform keeps them, and start it again.`;
  return [{ cause: 'environment variables are missing', evidence, remedy: { kind: 'byHand', task } }];
}

/** Causes that are found, and that nothing is configured for. */
function onlyByHand(facts: ErrorFacts): Cause[] {
  const byHand = (cause: string, evidence: string, what: string): Cause => ({
    cause,
    evidence,
    remedy: { kind: 'byHand', task: `Probably ${cause}: ${evidence}. ${what}` },
  });
  const suspect = suspectIn(facts);
  const limits = facts.rateLimits?.tooMany === true && facts.remedies.raiseLimitsMs === null;
  return [
    ...(suspect !== undefined && earlierThan(suspect.current, facts.deployments) === undefined
      ? [
          byHand(
            suspect.cause,
            suspect.evidence,
            'There is nothing to go back to: deploy a corrected version.',
          ),
        ]
      : []),
    ...(limits
      ? [
          byHand(
            LIMITS,
            facts.rateLimits?.detail ?? '',
            'Raise them by hand, if these are customers and no attack.',
          ),
        ]
      : []),
  ];
}

/** Nothing answers at all, and its database does: the process itself is the suspect. */
function silent({ symptoms, detailed, remedies, database }: ErrorFacts): Cause[] {
  const answers = symptoms.rateKnown || symptoms.checks > symptoms.failing.length || detailed?.status != null;
  if (answers || !remedies.restart || database?.reachable !== true) return [];
  return [
    { cause: 'the application gives no answer', evidence: symptoms.detail, remedy: { kind: 'restart' } },
  ];
}
