import { isCancellation, patched } from '@temporalio/workflow';
import type { Symptoms } from '../../../activities/application/symptoms';
import type { ApplicationAnswer, PoolFacts } from '../../../activities/application/facts';
import type { Deployment } from '../../../activities/deployments/deployment-list';
import type { ExternalService } from '../../../activities/application/external-services';
import type { DatabaseProbe } from '../../../activities/postgres/inspection/probe';
import type { RateLimitFacts } from '../../../activities/application/rate-limits';
import type { Remedies } from '../../../activities/application/remedies';
import type { Variables } from '../../../activities/recovery/variables';
import type { IndexReview } from '../../../contract/tuning';
import { countOf, duration, type Call, type Run } from '../../kit';
import { currentOf } from '../choose-deployment';
import { lookAtLog, logSentence, type ErrorsSeen } from '../errors-in-log';
import { describeDeployment } from '../name-deployment';
import type { Place } from '../../../contract/place';

/** What was found out about an application whose requests fail. Null: it could not be found out. */
export interface ErrorFacts {
  symptoms: Symptoms;
  remedies: Remedies;
  /** When the errors began, in milliseconds: the alert's word, or now. */
  beganAtMs: number;
  detailed: ApplicationAnswer | null;
  database: DatabaseProbe | null;
  pool: PoolFacts | null;
  external: ExternalService[];
  deployments: Deployment[];
  rateLimits: RateLimitFacts | null;
  log: ErrorsSeen | null;
  variables: Variables | null;
  queries: IndexReview | null;
}

/**
 * Looks at everything that makes requests fail, at once. A look that fails is on the timeline and ends nothing. What was
 * found out `before` an earlier remedy, and does not change by one, is not looked at again.
 */
export async function readErrorFacts(
  run: Run,
  place: Place,
  { symptoms, beganAtMs, before }: { symptoms: Symptoms; beganAtMs: number; before: ErrorFacts | undefined },
): Promise<ErrorFacts> {
  const reads = patched('reads-the-log');
  const knownLog =
    before?.log != null && 'log' in before.log && before.log.log === null ? before.log : undefined;
  const remedies = await run.step('What may be done about it', (act) => act.readRemedies(place), {
    describe: describeRemedies,
  });
  const look = <T>(title: string, call: Call<T>, describe: (found: T) => string): Promise<T | null> =>
    run.step(title, call, { describe }).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      return null;
    });
  const [detailed, database, pool, external, deployments, rateLimits, log, variables] = await Promise.all([
    look(
      'Detailed health',
      (act) => act.readApplication({ ...place, what: 'detailedHealth' }),
      describeAnswer,
    ),
    look(
      'Database',
      (act) => act.probeDatabase(place),
      ({ detail }) => detail,
    ),
    look(
      "The application's pool",
      (act) => act.readPool(place),
      ({ detail }) => detail,
    ),
    look('Services of others', (act) => act.checkExternalServices(place), describeExternal),
    remedies.suspectMs === null || place.environment !== 'production'
      ? null
      : look('Recent deployments', (act) => act.listDeployments({ service: place.service }), describeFront),
    look(
      'Rate limits',
      (act) => act.readRateLimits(place),
      ({ detail }) => detail,
    ),
    reads ? (knownLog ?? lookAtLog(run, place, beganAtMs)) : null,
    reads
      ? look('Environment variables of the application', (act) => act.readVariables(place), describeVariables)
      : null,
  ]);
  // A database that is away or full is asked for nothing more.
  const answers = reads && database?.reachable === true && !database.full;
  const queries =
    before?.queries ??
    (answers ? await look('Slow statements', (act) => act.findSlowQueries(place), describeQueries) : null);
  return {
    symptoms,
    remedies,
    beganAtMs,
    detailed,
    database,
    pool,
    external: external ?? [],
    deployments: deployments ?? [],
    rateLimits,
    log,
    variables,
    queries,
  };
}

/** What a person who mends by hand should know, whatever the cause. */
export function cluesOf({ log, variables, queries }: ErrorFacts): string {
  const missing = variables?.missing ?? [];
  const slow = queries?.slow.length ?? 0;
  return [
    logSentence(log),
    missing.length === 0 ? '' : `Environment variables are missing: ${missing.join(', ')}.`,
    slow === 0 ? '' : `Slow statements: ${describeQueries(queries!)}; resolveSlowResponses looks at those.`,
  ]
    .filter((clue) => clue !== '')
    .join(' ');
}

function describeVariables({ configured, required, missing }: Variables): string {
  if (!configured) return 'not looked at: recovery.variables is not configured';
  return missing.length === 0 ? `all ${required} are set` : `missing: ${missing.join(', ')}`;
}

function describeQueries({ statementsSeen, slow, settings }: IndexReview): string {
  return statementsSeen
    ? `${countOf(slow.length, 'statement')} over ${duration(settings.slowMs)} on average`
    : 'no statement is known: pg_stat_statements is not there';
}

function describeRemedies({ restart, features, raiseLimitsMs, suspectMs }: Remedies): string {
  const configured = [
    suspectMs === null ? '' : 'roll back',
    restart ? 'restart' : '',
    ...features.map((name) => `switch off ${name}`),
    raiseLimitsMs === null ? '' : 'raise the rate limits',
    'relieve the connection pool',
  ];
  return configured.filter((one) => one !== '').join(', ');
}

function describeAnswer(answer: ApplicationAnswer): string {
  const failing = failingChecks(answer.body);
  if (failing.length === 0) return answer.detail;
  return `${answer.detail}; failing: ${failing.map(({ name, detail }) => `${name} (${detail})`).join('; ')}`;
}

function describeExternal(services: ExternalService[]): string {
  if (services.length === 0) return 'none configured';
  return services.map(({ name, state, detail }) => `${name} ${state}: ${detail}`).join('; ');
}

function describeFront(deployments: Deployment[]): string {
  const current = currentOf(deployments);
  return current === undefined ? 'none is in front' : `in front: ${describeDeployment(current)}`;
}

const BAD_WORDS = /^(fail(ed|ing)?|error|down|unhealthy|unavailable|critical|outage)$/i;
const MAX_FAILING = 20;

/**
 * The checks that fail in the JSON of a health endpoint, by name: any object that says `ok: false`, `healthy: false`, or
 * a `status` such as "down". Only the innermost ones: those around them fail because of them.
 */
export function failingChecks(body: unknown, name = 'the application'): { name: string; detail: string }[] {
  if (body === null || typeof body !== 'object') return [];
  const within = Object.entries(body).flatMap(([key, value]) =>
    failingChecks(value, Array.isArray(body) ? name : key),
  );
  if (within.length > 0) return within.slice(0, MAX_FAILING);
  const { ok, healthy, status, error, message, output } = body as Record<string, unknown>;
  const fails = ok === false || healthy === false || (typeof status === 'string' && BAD_WORDS.test(status));
  if (!fails) return [];
  const said = [error, message, output, status].find((text) => typeof text === 'string' && text !== '');
  return [{ name, detail: typeof said === 'string' ? said.slice(0, 200) : 'it fails' }];
}
