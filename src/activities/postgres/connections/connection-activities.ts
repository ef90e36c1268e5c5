import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { fail } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import {
  needPrivileges,
  readConnectionFacts,
  type ConnectionFacts,
  type SessionRef,
} from './connection-facts';
import { underFence } from '../session/fence';
import { offenderParameters, OFFENDERS_SQL } from './session-rules';
import type { DatabaseRef, Fence } from '../../../contract/place';

export interface SessionsInput {
  service: string;
  environment: string;
  /** Exactly these and no others; never empty. */
  sessions: SessionRef[];
  fence: Fence;
}

export interface SessionsResult {
  asked: number;
  /** Process IDs that were told to stop; the others had gone, or moved on, by themselves. */
  signalled: number[];
  /** Of those, sessions that had not ended after ten seconds. Always empty after a cancellation of queries. */
  staying: number[];
  /** This is a retry: an attempt before it may have signalled others, and failed before it could say so. */
  earlierAttempts: boolean;
}

const GONE_WITHIN_MS = 10_000;

/** The sessions of a database: who has them, and an end to those that have them for too long. */
export function createConnectionActivities(deps: ActivityDeps) {
  const databaseOf = (place: { service: string; environment: string }): DatabaseRef => ({
    kind: 'service',
    service: place.service,
    environment: place.environment,
  });

  async function signal(input: SessionsInput, how: Signal): Promise<SessionsResult> {
    const { connections, maxDestructive } = serviceOf(deps.config, input.service);
    checkSelection(input, maxDestructive);
    const earlierAttempts = currentActivity().attempt > 1;
    const progress = { phase: how.phase, done: 0, total: input.sessions.length, unit: 'rows' as const };
    return withProgress(progress, () =>
      withClient(
        deps,
        databaseOf(input),
        async (client) => {
          await needPrivileges(client);
          const signalled = await underFence(client, input.fence, () =>
            signalOffenders(client, input.sessions, how, offenderParameters(connections)),
          );
          const staying = how.ends ? await stillThere(client, input.sessions, signalled) : [];
          return { asked: input.sessions.length, signalled, staying, earlierAttempts };
        },
        { identity: true, action: how.phase },
      ),
    );
  }

  return {
    /**
     * Who has the connections of the server, and which sessions of this database are over a limit. Reads only. Throws
     * MissingPrivilege, WrongDatabase, DatabaseUnreachable.
     */
    async readConnections(place: { service: string; environment: string }): Promise<ConnectionFacts> {
      const { connections, maxDestructive } = serviceOf(deps.config, place.service);
      return withClient(
        deps,
        databaseOf(place),
        (client) => readConnectionFacts(client, connections, maxDestructive),
        { identity: true, readOnly: true, action: 'read the connections' },
      );
    },

    /**
     * Cancels the query of each of these sessions that still runs it and is still over its limit. A session that is idle
     * in a transaction has nothing to cancel. Safe to retry: who has moved on is another one. Throws EmptySelection,
     * TooManyTargets, MissingPrivilege, StaleFencingToken, WrongDatabase.
     */
    async cancelSessions(input: SessionsInput): Promise<SessionsResult> {
      return signal(input, CANCELLING);
    },

    /** Ends each of these sessions that is still over its limit, and waits until it has gone. Otherwise as `cancelSessions`. */
    async terminateSessions(input: SessionsInput): Promise<SessionsResult> {
      return signal(input, TERMINATING);
    },
  };
}

interface Signal {
  phase: string;
  call: string;
  offences: string[];
  /** The session ends, and not only its query. */
  ends: boolean;
}

const CANCELLING: Signal = {
  phase: 'cancel queries',
  call: 'pg_cancel_backend',
  offences: ['long query'],
  ends: false,
};

const TERMINATING: Signal = {
  phase: 'end sessions',
  call: 'pg_terminate_backend',
  offences: ['long query', 'idle in transaction'],
  ends: true,
};

function checkSelection({ service, environment, sessions }: SessionsInput, maxDestructive: number): void {
  const where = `${service}/${environment}`;
  if (sessions.length === 0)
    throw fail(
      'EmptySelection',
      `No session of ${where} was named, and that never means all. Nothing was ended.`,
    );
  if (sessions.length > maxDestructive) {
    throw fail(
      'TooManyTargets',
      `${sessions.length} sessions of ${where} are more than maxDestructive allows (${maxDestructive}). Nothing was ended.`,
    );
  }
}

/** Under the fence: a signal is no part of a transaction, but nobody newer gets in before all are sent. */
async function signalOffenders(
  client: Client,
  sessions: SessionRef[],
  how: Signal,
  parameters: ReturnType<typeof offenderParameters>,
): Promise<number[]> {
  // In a transaction the list of sessions is read once and kept.
  await client.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await client.query<{ pid: number; sent: boolean }>(
    `SELECT now.pid, ${how.call}(now.pid) AS sent FROM (${OFFENDERS_SQL}) now
       JOIN unnest($5::int[], $6::text[], $7::text[]) AS wanted(pid, started, since)
         ON now.pid = wanted.pid AND now."backendStart" = wanted.started AND now.since = wanted.since
      WHERE now.untouchable IS NULL AND now.offence = ANY($8)`,
    [
      ...parameters,
      sessions.map(({ pid }) => pid),
      sessions.map(({ backendStart }) => backendStart),
      sessions.map(({ since }) => since),
      how.offences,
    ],
  );
  return rows.filter(({ sent }) => sent).map(({ pid }) => pid);
}

async function stillThere(client: Client, sessions: SessionRef[], pids: number[]): Promise<number[]> {
  const ended = sessions.filter(({ pid }) => pids.includes(pid));
  for (const until = Date.now() + GONE_WITHIN_MS; ;) {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT a.pid FROM pg_stat_activity a JOIN unnest($1::int[], $2::timestamptz[]) AS wanted(pid, started)
           ON a.pid = wanted.pid AND a.backend_start = wanted.started`,
      [ended.map(({ pid }) => pid), ended.map(({ backendStart }) => backendStart)],
    );
    if (rows.length === 0 || Date.now() > until) return rows.map(({ pid }) => pid);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
