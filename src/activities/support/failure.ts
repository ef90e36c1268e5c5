import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ConfigError, UnknownName } from '../../config/load';
import { MissingSecret, scrub } from '../../config/secrets';

/** Every type under which an activity fails. Workflows and people act on these names. */
export type FailureType =
  | 'InvalidInput'
  | 'WrongDatabase'
  | 'DatabaseUnreachable'
  | 'AuthenticationFailed'
  | 'ReadOnlyDatabase'
  | 'OutOfDisk'
  | 'ClientTooOld'
  | 'StaleFencingToken'
  | 'LockTimeout'
  | 'FenceBusy'
  | 'ReplicaLag'
  | 'MigrationMissing'
  | 'MigrationInvalid'
  | 'MigrationChanged'
  | 'MigrationConflict'
  | 'MigrationFailed'
  | 'BackupIncomplete'
  | 'BackupCorrupt'
  | 'RestoreFailed'
  | 'CommandFailed'
  | 'HttpFailed'
  | 'DeploymentChanged'
  | 'PoolerRefused'
  | 'TargetNotOurs'
  | 'MissingPrivilege'
  | 'EmptySelection'
  | 'TooManyTargets'
  | 'GuardUnread'
  | 'Cancelled'
  // Other people's; those above still complete in editors.
  | (string & {});

export interface FailOptions {
  /** Default false: Temporal does not try again. */
  retryable?: boolean;
  /** Not before this much time has passed; at most a minute, because somebody waits. */
  nextTryMs?: number | undefined;
  details?: unknown;
}

const MAX_NEXT_TRY_MS = 60_000;

/** An ApplicationFailure of that type with its message scrubbed of secrets. */
export function fail(type: FailureType, message: string, options: FailOptions = {}): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message: scrub(message),
    nonRetryable: options.retryable !== true,
    ...(options.nextTryMs === undefined
      ? {}
      : { nextRetryDelay: Math.min(options.nextTryMs, MAX_NEXT_TRY_MS) }),
    details: options.details === undefined ? undefined : [options.details],
  });
}

export interface ErrorContext {
  /** What was being done, e.g. `count the rows`. */
  action: string;
  /** On what, e.g. `booking/production`. */
  target: string;
  /** Type for errors that have no better one. Default CommandFailed. */
  type?: FailureType;
}

/** The fields of a PostgreSQL error that people need. */
export interface SqlErrorDetails {
  sqlState: string;
  detail?: string;
  hint?: string;
  position?: string;
  table?: string;
  constraint?: string;
}

const UNREACHABLE = 'Check that the server is up and that the worker may reach it; this is tried again.';

interface ErrorMeaning {
  type?: FailureType;
  retryable?: boolean;
  next: string;
}

/** By full SQLSTATE first, then by its class. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const SQL_STATES: Record<string, ErrorMeaning> = {
  '3D000': { type: 'WrongDatabase', next: 'Correct the database name in the URL.' },
  '28': {
    type: 'AuthenticationFailed',
    next: 'Correct user and password of this database in the configuration.',
  },
  '25006': {
    type: 'ReadOnlyDatabase',
    next: 'Point the configuration at the primary, or end its read-only mode.',
  },
  '53100': { type: 'OutOfDisk', next: 'Free disk space on the database server, then start again.' },
  '53300': {
    type: 'DatabaseUnreachable',
    retryable: true,
    next: 'No connection is left for the runbooks, which docs/operating.md says how to keep free; this is tried again.',
  },
  '53': {
    type: 'DatabaseUnreachable',
    retryable: true,
    next: 'The server is short of resources; this is tried again.',
  },
  '08': { type: 'DatabaseUnreachable', retryable: true, next: UNREACHABLE },
  '57P01': {
    type: 'DatabaseUnreachable',
    retryable: true,
    next: 'The session was ended by the server; this is tried again.',
  },
  '57P02': { type: 'DatabaseUnreachable', retryable: true, next: UNREACHABLE },
  '57P03': {
    type: 'DatabaseUnreachable',
    retryable: true,
    next: 'The server is starting or stopping; this is tried again.',
  },
  '57P05': {
    type: 'DatabaseUnreachable',
    retryable: true,
    next: 'The session timed out; this is tried again.',
  },
  '55P03': { type: 'LockTimeout', retryable: true, next: 'Another session holds the lock.' },
  '40': { retryable: true, next: 'Concurrent transactions collided; this is tried again.' },
  '42501': { next: 'Grant the role this privilege.' },
  '57014': { next: 'The statement was cancelled or ran into statement_timeout.' },
};

/** SQLSTATE of an error of the pg driver, undefined for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code)
    ? code
    : undefined;
}

/**
 * Turns any error into what an activity throws: failures and cancellations as they are, PostgreSQL
 * errors by SQLSTATE, network and file errors by their code, the rest as non-retryable `context.type`.
 */
export function mapError(error: unknown, context: ErrorContext): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof UnknownName || error instanceof MissingSecret || error instanceof ConfigError) {
    return fail('InvalidInput', error.message);
  }
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return fromSqlState(error as Error, sqlState, context);
  const message =
    error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
  return fromText(message, (error as { code?: string } | null)?.code ?? '', context);
}

function fromSqlState(error: Error, sqlState: string, context: ErrorContext): ApplicationFailure {
  const fields = error as unknown as Record<string, string | undefined>;
  const meaning = SQL_STATES[sqlState] ??
    SQL_STATES[sqlState.slice(0, 2)] ?? { next: 'Correct the cause, then start again.' };
  const details: SqlErrorDetails = { sqlState };
  for (const key of ['detail', 'hint', 'position', 'table', 'constraint'] as const) {
    if (fields[key] === undefined) continue;
    // Of a violated constraint it quotes rows of the application.
    if (key === 'detail' && sqlState.startsWith('23')) continue;
    details[key] = scrub(fields[key]);
  }
  const hint = details.hint === undefined ? '' : ` Hint: ${details.hint}`;
  return fail(
    meaning.type ?? context.type ?? 'CommandFailed',
    `Could not ${context.action} on ${context.target}: ${error.message} (SQLSTATE ${sqlState}).${hint} ${meaning.next}`,
    { retryable: meaning.retryable === true, details },
  );
}

interface TextRule extends ErrorMeaning {
  pattern: RegExp;
}

/** For errors that have no SQLSTATE: of the network, of files, and the last lines of the client tools. */
const TEXT_RULES: TextRule[] = [
  {
    pattern: /ENOSPC|No space left on device|EDQUOT|disk quota exceeded/i,
    type: 'OutOfDisk',
    next: 'Free disk space there, then start again.',
  },
  {
    pattern:
      /password authentication failed|no password supplied|SASL|client password must be|no pg_hba\.conf entry|role ".*" does not exist/i,
    type: 'AuthenticationFailed',
    next: 'Correct user and password of this database in the configuration.',
  },
  {
    pattern: /server version mismatch/i,
    type: 'ClientTooOld',
    next: 'Install client tools at least as new as the server and name their folder in `postgresBin`.',
  },
  {
    pattern: /database ".*" does not exist/i,
    type: 'WrongDatabase',
    next: 'Correct the database name in the URL.',
  },
  {
    pattern:
      /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|Connection terminated|timeout expired|timeout exceeded when trying to connect|could not connect|Connection refused|could not translate host|server closed the connection|terminating connection|connection to server .* failed|not queryable|database system is (starting|shutting|in recovery|not yet accepting)|could not (receive|send) data (from|to) (the )?(server|client)|no connection to the server|connection (to server )?was lost|SSL connection has been closed|SSL SYSCALL error|too many clients|remaining connection slots/i,
    type: 'DatabaseUnreachable',
    retryable: true,
    next: UNREACHABLE,
  },
  {
    pattern: /Query read timeout/i,
    type: 'DatabaseUnreachable',
    next: 'The server takes statements and answers none: look at its storage, then start again.',
  },
  {
    // pg_dump waits for its locks under statement_timeout, whatever its option is called.
    pattern:
      /canceling statement due to lock timeout|could not obtain lock|due to statement timeout.*LOCK TABLE/is,
    type: 'LockTimeout',
    retryable: true,
    next: 'Another session holds the lock.',
  },
  { pattern: /EACCES|EPERM|EROFS/, next: 'Give the worker the right to use this path.' },
];

function fromText(message: string, code: string, context: ErrorContext): ApplicationFailure {
  const rule = TEXT_RULES.find(({ pattern }) => pattern.test(`${code} ${message}`));
  return fail(
    rule?.type ?? context.type ?? 'CommandFailed',
    `Could not ${context.action} on ${context.target}: ${message.trim().replace(/^Error: /, '')}. ${rule?.next ?? 'Correct the cause, then start again.'}`,
    { retryable: rule?.retryable === true },
  );
}
