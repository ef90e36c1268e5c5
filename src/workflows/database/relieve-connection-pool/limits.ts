import type { PoolFacts } from '../../../activities/application/facts';
import type {
  ConnectionFacts,
  Offender,
  UnlimitedRole,
} from '../../../activities/postgres/connections/connection-facts';
import { countOf, percent, utc, type Verdict } from '../../kit';

/** The connections as the server and the application see them at one moment. */
export interface Look {
  connections: ConnectionFacts;
  pool: PoolFacts;
}

interface Share {
  name: string;
  used: number;
  limit: number;
}

const POOL = 'pool of the application';

/** Everything that can run out of connections: the server, the database and roles with limits, the application's pool. */
export function sharesOf({ connections, pool }: Look): Share[] {
  const { max, used } = pool;
  const known = max !== null && max > 0 && used !== null;
  return [...connections.limits, ...(known ? [{ name: POOL, used, limit: max }] : [])];
}

/** What is used up to its limit or beyond. */
export function tightOf(look: Look): Share[] {
  const { maxUtilisation } = look.connections.settings;
  return sharesOf(look).filter(({ used, limit }) => used / limit >= maxUtilisation);
}

/** The pool is used up and nothing else is: a larger one would help, and hurt nobody. */
export function isOnlyPoolExhausted(look: Look): boolean {
  const tight = tightOf(look);
  return tight.length > 0 && tight.every(({ name }) => name === POOL);
}

/** Share of the fullest, between 0 and 1; above it where somebody got in beyond the limit. */
export function utilisationOf(look: Look): number {
  return Math.max(0, ...sharesOf(look).map(({ used, limit }) => used / limit));
}

/** A forgotten transaction always harms: it holds locks and old rows. A long query only while connections are short. */
export function offendersOf(look: Look): { idle: Offender[]; queries: Offender[] } {
  const { offenders } = look.connections;
  const queries = offenders.filter(({ offence }) => offence === 'long query');
  return {
    idle: offenders.filter(({ offence }) => offence === 'idle in transaction'),
    queries: tightOf(look).length > 0 ? queries : [],
  };
}

/** The role that takes the connections of a full server, where nothing keeps it from doing so again. */
export function greedyRole(look: Look): UnlimitedRole | undefined {
  const isFull = tightOf(look).some(({ name }) => name === 'server');
  return (isFull && look.connections.unlimited) || undefined;
}

/** Of no run's rights: somebody who has them decides. Nobody is ended by it, who is connected stays. */
export function limitText({ role, used, statement, wayBack }: UnlimitedRole): string {
  return `${role} has ${countOf(used, 'connection')} and no limit that keeps it from taking all of them. As a superuser: ${statement}; way back: ${wayBack}`;
}

/** Whether the symptom is gone. */
export function relieved(look: Look): Verdict {
  const { idle } = offendersOf(look);
  const full = `${sharesOf(look).map(shareText).join(', ')}; limit ${wholePercent(look.connections.settings.maxUtilisation)}`;
  const offending =
    idle.length === 0 ? '' : `; ${countOf(idle.length, 'transaction')} open and idle for too long`;
  return { ok: tightOf(look).length === 0 && idle.length === 0, detail: `${full}${offending}` };
}

/**
 * How far the pool can be raised: by its step, and never into what the server keeps for people or beyond the limit of the
 * database or of a role. The present size where there is no room or where the pool is unknown.
 */
export function raisedPool({ connections, pool }: Look): number {
  const max = pool.max ?? 0;
  const { poolStep, reserve } = connections.settings;
  const room = connections.limits.map(
    ({ name, used, limit }) => limit - used - (name === 'server' ? reserve : 0),
  );
  return max + Math.max(0, Math.min(poolStep, ...room));
}

export function shareText({ name, used, limit }: Share): string {
  return `${name} ${used} of ${limit} (${wholePercent(used / limit)})`;
}

export function wholePercent(share: number): string {
  return percent(share, 0);
}

/** `pid 77 (nightly report of booking_app) since 2026-11-21 03:10:22`. Absolute, so that it says the same tomorrow. */
export function sessionText({ pid, application, user, since }: Offender): string {
  return `pid ${pid} (${application === '' ? '' : `${application} of `}${user}) since ${utc(since)}`;
}

/** The first ten by name. */
export function sessionsText(sessions: Offender[]): string {
  const more = sessions.length > 10 ? ` and ${sessions.length - 10} more, all in the snapshot` : '';
  return `${sessions.slice(0, 10).map(sessionText).join(', ')}${more}`;
}

const MAX_QUERY = 80;

/** Every session that is over a limit and who has the others: what there was before anything was done. */
export function snapshotText({ connections }: Look): string {
  const { groups, offenders, leftAlone, preparedTransactions } = connections;
  const over = offenders.map(
    (one) => `${one.offence}: ${sessionText(one)}: ${one.query.slice(0, MAX_QUERY)}`,
  );
  const alone = leftAlone.map((one) => `left alone (${one.untouchable}): ${sessionText(one)}`);
  const rest = groups.map(
    ({ user, application, state, count }) => `${count} ${state}: ${application} of ${user}`,
  );
  const prepared =
    preparedTransactions === 0
      ? []
      : [`${countOf(preparedTransactions, 'prepared transaction')}, left alone`];
  return [...over, ...alone, ...prepared, ...rest].join('; ');
}
