import type { ConnectionCause } from '../../../activities/postgres/connections/connection-cause';
import type { DatabaseDiagnosis } from '../../../activities/postgres/connections/diagnose-activities';
import type { Activities } from '../../../activities';
import type { Check, Place } from '../../../contract/place';
import type { Run } from '../../kit';

/** Who cannot work with the database, and why. */
export interface Finding {
  whose: 'the runbooks' | 'the application';
  cause: ConnectionCause;
  address: string;
  said: string;
}

/** The database and the application in front of it at one moment. */
export interface Situation {
  diagnosis: DatabaseDiagnosis;
  /** What has to be mended first comes first; empty where the database answers everybody. */
  findings: Finding[];
  /** Health checks that fail. */
  failing: Check[];
  checks: number;
}

/** It passes by itself, or on the way to something else: nothing for a person yet. */
const PASSING: ConnectionCause[] = ['starting', 'resolver'];
/** Of the server itself, or of the way to it: whatever the application meets then comes of it. */
const OF_SERVER: ConnectionCause[] = ['refused', 'unreachable', 'paused', 'dns', ...PASSING];

/** Without a line of the timeline, and without the database. */
export async function situationNow(act: Activities, place: Place): Promise<Situation> {
  const [diagnosis, health] = await Promise.all([act.diagnoseDatabase(place), act.checkHealth(place)]);
  const failing = health.filter(({ ok }) => !ok);
  return { diagnosis, findings: findingsOf(diagnosis), failing, checks: health.length };
}

export async function look(run: Run, place: Place, title: string): Promise<Situation> {
  return run.step(title, (act) => situationNow(act, place), { describe: situationText });
}

export function findingsOf({ runbooks, application, paused }: DatabaseDiagnosis): Finding[] {
  const all: Finding[] = [];
  const add = (whose: Finding['whose'], tried: DatabaseDiagnosis['runbooks']): void => {
    if (tried.cause === null) return;
    const isPaused = paused && OF_SERVER.includes(tried.cause);
    const { address, detail: said } = tried;
    all.push({ whose, cause: isPaused ? 'paused' : tried.cause, address, said });
  };
  add('the runbooks', runbooks);
  if (application !== null) add('the application', application);
  // Customers feel what the application meets.
  return runbooks.cause !== null && OF_SERVER.includes(runbooks.cause) ? all : all.reverse();
}

export function isWell({ findings, failing }: Situation): boolean {
  return findings.length === 0 && failing.length === 0;
}

/** Nothing has to be done about it before it had time to pass. */
export function isPassing({ cause }: Finding): boolean {
  return PASSING.includes(cause);
}

/** Whether a server that does not run could be all that is wrong: one that a session was had with runs. */
export function mayBeStopped({ diagnosis }: Situation): boolean {
  const { runbooks, paused } = diagnosis;
  return runbooks.cause === 'refused' || runbooks.cause === 'paused' || (paused && runbooks.cause !== null);
}

/**
 * Tells of each look whether something else than before is found, and is no step on the way. One that lasts longer than a
 * start may take is none: nobody mends a password meanwhile.
 */
export function movesOnFrom({ findings: [before], diagnosis }: Situation) {
  let onTheWaySince: number | undefined;
  return ({ findings: [now] }: Situation, atMs: number): boolean => {
    if (now === undefined || before === undefined) return now === undefined;
    const isSame = now.cause === before.cause && now.whose === before.whose;
    const isOnTheWay = ['starting', 'refused', 'unreachable'].includes(now.cause);
    onTheWaySince = isSame || !isOnTheWay ? undefined : (onTheWaySince ?? atMs);
    if (onTheWaySince !== undefined) return atMs - onTheWaySince >= diagnosis.settleMs;
    return !isSame;
  };
}

export function situationText({ diagnosis, findings, failing, checks }: Situation): string {
  const found = findings.map(findingText).join('; ');
  const health =
    checks === 0
      ? 'no health check is configured'
      : failing.length === 0
        ? `${checks} health checks hold`
        : failing.map(({ name, detail }) => `${name}: ${detail.slice(0, 100)}`).join('; ');
  const provider = diagnosis.asksStatus ? `; ${diagnosis.statusDetail}` : '';
  return `${found === '' ? answersText(diagnosis) : found}${provider}; ${health}`;
}

function answersText({ runbooks, application }: DatabaseDiagnosis): string {
  return application === null
    ? `it answers the runbooks (${runbooks.address}); whether it answers the application is not known, because application.databaseUrl is not configured`
    : `it answers the runbooks (${runbooks.address}) and the application (${application.address})`;
}

export function findingText({ whose, cause, address, said }: Finding): string {
  const where = address === '' ? '' : ` at ${address}`;
  return `${whose}${where}: ${causeText(cause)} (${said})`;
}

export function causeText(cause: ConnectionCause): string {
  return CAUSES[cause];
}

const CAUSES: Record<ConnectionCause, string> = {
  url: 'the URL is none',
  dns: 'the name of its host does not resolve',
  resolver: 'names cannot be resolved at the moment',
  refused: 'connection refused',
  unreachable: 'nobody answers',
  paused: 'paused by its provider',
  starting: 'it is starting or stopping',
  'too-many-connections': 'too many connections',
  authentication: 'user or password is not accepted',
  'not-admitted': 'not admitted by pg_hba.conf',
  tls: 'TLS fails',
  'database-missing': 'the database does not exist',
  closed: 'the database takes no connections',
  'other-database': 'it is another database',
  'in-recovery': 'the server is in recovery',
  'read-only': 'the database is read-only',
  unknown: 'connecting fails',
};
