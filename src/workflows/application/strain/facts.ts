import { isCancellation } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type {
  ApplicationAnswer,
  ApplicationEndpoint,
  PoolFacts,
} from '../../../activities/application/facts';
import type { Remedies } from '../../../activities/application/remedies';
import type { ConfiguredChecks } from '../../../activities/application/symptoms';
import type { Deployment } from '../../../activities/deployments/deployment-list';
import type { Measured } from '../../../activities/observe/measure';
import type { ConnectionFacts } from '../../../activities/postgres/connections/connection-facts';
import type { Adjustment } from '../../../config/operation-schema';
import type { Place } from '../../../contract/place';
import { countOf, duration } from '../../../contract/text';
import type { IndexReview } from '../../../contract/tuning';
import type { Call, Run } from '../../kit';
import { currentOf } from '../choose-deployment';
import { describeDeployment } from '../name-deployment';
import type { Cause } from './causes';
import type { Strain, Symptom } from './strain';

/** What a runbook about strain looks for, and in which order it deals with it. */
export interface Procedure extends Symptom {
  /** Measures that tell the cause. */
  clues: string[];
  /** What the application itself says about it. */
  endpoints: ApplicationEndpoint[];
  /** That may help. */
  adjustments: Adjustment[];
  /** Every cause that the facts speak for, the first to be dealt with first. */
  causesOf: (facts: StrainFacts) => Cause[];
}

/** What was found out about an application under strain. Null: it could not be found out. */
export interface StrainFacts {
  trouble: string;
  strain: Strain;
  /** When it began, in milliseconds: the alert's word, or now. */
  beganAtMs: number;
  clues: Measured[];
  remedies: Remedies;
  adjustments: Adjustment[];
  pool: PoolFacts | null;
  connections: ConnectionFacts | null;
  queries: IndexReview | null;
  deployments: Deployment[];
  /** What nobody looks at, or could not be looked at now. */
  unseen: string[];
}

/** Looks at everything that strains an application, at once. A look that fails is on the timeline and ends nothing. */
export async function readFacts(
  run: Run,
  place: Place,
  procedure: Procedure,
  now: { strain: Strain; beganAtMs: number },
): Promise<StrainFacts> {
  const unseen: string[] = [];
  const remedies = await run.look('What may be done about it', (act) => act.readRemedies(place));
  const seek = <T>(title: string, call: Call<T>, describe: (found: T) => string): Promise<T | null> =>
    run.step(title, call, { describe }).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      unseen.push(`${title}: it could not be looked at`);
      return null;
    });
  const deployed = remedies.suspectMs !== null && place.environment === 'production';
  const [clues, pool, connections, queries, deployments, answers, checks] = await Promise.all([
    seek(
      'Further measures',
      (act) => act.measure({ ...place, names: procedure.clues }),
      (found) => found.map(({ detail }) => detail).join('; '),
    ),
    seek(
      "The application's pool",
      (act) => act.readPool(place),
      ({ detail }) => detail,
    ),
    seek('Sessions of the database', (act) => act.readConnections(place), describeConnections),
    seek('Slow statements', (act) => act.findSlowQueries(place), describeQueries),
    deployed
      ? seek('Recent deployments', (act) => act.listDeployments({ service: place.service }), describeFront)
      : null,
    seek('What the application says', (act) => askAll(act, place, procedure.endpoints), describeAnswers),
    run.look('What is checked', (act) => act.listChecks(place)),
  ]);
  // The pool of the application says as much.
  const needless = pool !== null && pool.used !== null ? 'pool-utilisation' : undefined;
  const notKnown = (clues ?? [])
    .filter(({ name, value }) => value === null && name !== needless)
    .map(({ detail }) => detail);
  return {
    trouble: procedure.trouble,
    strain: now.strain,
    beganAtMs: now.beganAtMs,
    clues: clues ?? [],
    remedies,
    adjustments: procedure.adjustments,
    pool,
    connections,
    queries,
    deployments: deployments ?? [],
    unseen: [
      ...notKnown,
      ...unseen,
      ...(queries?.statementsSeen === false
        ? ['no statement is known: pg_stat_statements is not there']
        : []),
      ...notConfigured(run, procedure, { remedies, checks, answers: answers ?? {} }),
    ],
  };
}

type Answers = Record<string, ApplicationAnswer>;

async function askAll(act: Activities, place: Place, endpoints: ApplicationEndpoint[]): Promise<Answers> {
  const answers = await Promise.all(endpoints.map((what) => act.readApplication({ ...place, what })));
  return Object.fromEntries(endpoints.map((what, index) => [what, answers[index]!]));
}

/** Nothing configured is nothing seen: whoever approves has to know. */
function notConfigured(
  { policy }: Run,
  { adjustments }: Procedure,
  { remedies, checks, answers }: { remedies: Remedies; checks: ConfiguredChecks; answers: Answers },
): string[] {
  const setting = (name: string, so: string): string => `application.${name} is not configured: ${so}`;
  return [
    ...(checks.health > 0 ? [] : [setting('health', 'nobody notices what a remedy breaks')]),
    ...(checks.errorRate
      ? []
      : ['no error rate is configured: nobody notices requests that a remedy makes fail']),
    ...(policy.soakMs > 0 ? [] : ['application.soakSeconds is 0: nobody watches whether it stays so']),
    ...(remedies.restart ? [] : [setting('restart', 'that is for people')]),
    ...(remedies.suspectMs === null ? ['no deployments are configured: none is suspected'] : []),
    ...Object.keys(answers)
      .filter((name) => answers[name]?.configured === false)
      .map((name) => setting(name, 'the application is not asked')),
    ...adjustments
      .filter((name) => !remedies.adjustments.includes(name))
      .map((name) => setting(name, 'that is for people')),
    ...(remedies.blindAdjustments ?? [])
      .filter((name) => adjustments.includes(name))
      .map((name) => setting(`${name}.current`, 'what was applied before this run is taken back with it')),
  ];
}

function describeConnections({ offenders, limits }: ConnectionFacts): string {
  const used = limits.map(({ name, used, limit }) => `${name} ${used} of ${limit}`).join(', ');
  return `${used}; ${countOf(offenders.length, 'session')} over a limit`;
}

function describeQueries({ statementsSeen, slow, settings }: IndexReview): string {
  return statementsSeen
    ? `${countOf(slow.length, 'statement')} over ${duration(settings.slowMs)} on average`
    : 'no statement is known: pg_stat_statements is not there';
}

function describeFront(deployments: Deployment[]): string {
  const current = currentOf(deployments);
  return current === undefined ? 'none is in front' : `in front: ${describeDeployment(current)}`;
}

function describeAnswers(answers: Answers): string {
  const said = Object.entries(answers).map(([name, { detail, body }]) => {
    const text = body === null ? detail : JSON.stringify(body).slice(0, 300);
    return `${name}: ${text}`;
  });
  return said.length === 0 ? 'nothing is asked' : said.join('; ');
}
