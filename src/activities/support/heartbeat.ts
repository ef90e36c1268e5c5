import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';

/** What a long activity tells while it runs; it shows in the Temporal UI. */
export interface Progress {
  phase: string;
  done: number;
  total: number;
  unit: 'bytes' | 'tables' | 'rows' | 'statements' | 'backups';
  table?: string;
}

/** The running activity, or neutral values for code that the command line runs outside of one. */
export interface ActivityScope {
  signal: AbortSignal;
  workflowId: string;
  /** Undefined outside of an activity. */
  runId?: string;
  activityId: string;
  attempt: number;
  heartbeat(details: unknown): void;
}

const neverAborted = new AbortController().signal;

/** Who runs this code and the signal of its cancellation. */
export function currentActivity(): ActivityScope {
  try {
    const context = Context.current();
    const { workflowExecution, activityId, attempt, isLocal } = context.info;
    return {
      signal: context.cancellationSignal,
      workflowId: workflowExecution?.workflowId ?? 'activity',
      runId: workflowExecution?.runId,
      activityId,
      attempt,
      // A part of a turn has no heartbeat: the server does not know it, and the worker would log that.
      heartbeat: (details) => {
        if (!isLocal) context.heartbeat(details);
      },
    };
  } catch {
    return {
      signal: neverAborted,
      workflowId: `local-${process.pid}`,
      activityId: '0',
      attempt: 1,
      heartbeat: () => undefined,
    };
  }
}

/** How often the last known progress is repeated: a silent phase must not look like a dead worker. */
const BEAT_EVERY_MS = 1_000;

/** What tells how far the activity is; one inside another silences it for as long as it lasts. */
interface Teller {
  silenced: number;
  latest: unknown;
}
const current = new AsyncLocalStorage<Teller>();

/**
 * Runs `body` and heartbeats its latest progress at once and then every second, also while it is silent.
 * `body` reports with the function it is given; only the fields that changed are needed. May be nested.
 */
export async function withProgress<T>(
  first: Progress,
  body: (report: (changed: Partial<Progress>) => void) => Promise<T>,
): Promise<T> {
  const outer = current.getStore();
  const own = { silenced: 0, latest: first };
  const beat = beatOf(own);
  if (outer !== undefined) outer.silenced += 1;
  beat();
  const timer = setInterval(beat, BEAT_EVERY_MS);
  try {
    return await current.run(own, () =>
      body((changed) => {
        own.latest = { ...own.latest, ...changed };
      }),
    );
  } finally {
    clearInterval(timer);
    beat();
    if (outer !== undefined) outer.silenced -= 1;
  }
}

/**
 * Heartbeats every second for as long as `body` takes, with or without progress: a worker that is lost is known within
 * seconds whatever it was doing, and a cancellation arrives. For every activity, by the worker.
 */
export async function whileAlive<T>(body: () => Promise<T>): Promise<T> {
  const own: Teller = { silenced: 0, latest: undefined };
  const timer = setInterval(beatOf(own), BEAT_EVERY_MS);
  try {
    return await current.run(own, body);
  } finally {
    clearInterval(timer);
  }
}

function beatOf(teller: Teller): () => void {
  const scope = currentActivity();
  return () => {
    if (teller.silenced === 0) scope.heartbeat(teller.latest);
  };
}

/** PostgreSQL cuts application_name at 63 bytes. */
const MAX_NAME_BYTES = 63;

/**
 * `dr:<workflowId>#<activityId>/<attempt>`: the sessions of one attempt of one activity. A long workflow ID
 * is shortened with a hash, so that two of them never share a name and the attempt is never cut off.
 */
export function applicationName(attempt = currentActivity().attempt): string {
  return sessionName(attempt, '');
}

/** Of a session that later attempts wait for and never end: its program, or its statement, goes on for as long. */
export function lastingName(attempt = currentActivity().attempt): string {
  return sessionName(attempt, '+');
}

function sessionName(attempt: number, mark: string): string {
  const { workflowId, activityId } = currentActivity();
  const tail = `#${activityId}${mark}/${attempt}`;
  const plain = `dr:${workflowId.replace(/[^\x21-\x7e]/g, '_')}${tail}`;
  if (plain.length <= MAX_NAME_BYTES) return plain;
  const hash = createHash('sha256').update(`${workflowId}#${activityId}`).digest('hex').slice(0, 12);
  const end = `~${hash}${mark}/${attempt}`;
  return plain.slice(0, MAX_NAME_BYTES - end.length) + end;
}
