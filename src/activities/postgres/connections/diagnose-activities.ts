import { databaseOf, environmentOf } from '../../../config/load';
import { MissingSecret, resolveSecrets } from '../../../config/secrets';
import type { SourceConfig } from '../../../config/source-schema';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { readSource } from '../../observe/source';
import { runChange } from '../../support/change';
import type { CommandResult } from '../../support/configured-command';
import type { ActivityDeps } from '../../support/deps';
import { withProgress } from '../../support/heartbeat';
import { tryConnection, type TriedConnection } from './try-connection';

/** A database as whoever wants to connect meets it, at one moment. Nothing in it is secret. */
export interface DatabaseDiagnosis {
  /** With the URL of the worker. */
  runbooks: TriedConnection;
  /** With the DATABASE_URL that the application has; null where none is configured. */
  application: TriedConnection | null;
  /** What the provider says of its server; null where nothing is configured that says so, or it cannot be read. */
  status: string | null;
  statusDetail: string;
  asksStatus: boolean;
  /** `status` is one of those that mean so. */
  paused: boolean;
  canStart: boolean;
  settleMs: number;
}

const DEFAULT_SETTLE_SECONDS = 120;
/** A provider in trouble answers late or never, and without it the rest is known all the same. */
const STATUS_SECONDS = 20;

export function createDiagnoseActivities(deps: ActivityDeps) {
  const serverOf = ({ service, environment }: Place) => databaseOf(deps.config, service, environment).server;

  async function readStatus(place: Place): Promise<Pick<DatabaseDiagnosis, 'status' | 'statusDetail'>> {
    const source = serverOf(place)?.status;
    if (source === undefined)
      return { status: null, statusDetail: 'no database.server.status is configured' };
    const action = `read the status of the database server of ${targetOf(place)}`;
    const reading = await readSource(deps, place, inTime(source), { action });
    if (!reading.known) return { status: null, statusDetail: `its status is not known: ${reading.detail}` };
    const status = String(reading.value).trim();
    return { status, statusDetail: `its provider says: ${status.slice(0, 100)}` };
  }

  return {
    /**
     * Tries to connect, as the worker and as the application do, and asks the provider of the server. Reads only, needs no
     * database, and takes what does not work for a fact, also a secret that is not set: throws only for unknown names.
     */
    async diagnoseDatabase(place: Place): Promise<DatabaseDiagnosis> {
      const { service, environment } = place;
      const { url, identity, server } = databaseOf(deps.config, service, environment);
      const registered = {
        ...identity,
        ...(place.systemIdentifier === undefined ? {} : { systemIdentifier: place.systemIdentifier }),
      };
      const attempt = async (text: string): Promise<TriedConnection> => {
        try {
          return await tryConnection(resolveSecrets(text, deps.config.directory).trim(), registered);
        } catch (error) {
          if (!(error instanceof MissingSecret)) throw error;
          return { cause: 'url', detail: error.message.replace(/\.$/, ''), address: '', limits: [] };
        }
      };
      const given = environmentOf(deps.config, service, environment).application?.databaseUrl;
      const progress = { phase: 'connect', done: 0, total: 0, unit: 'statements' as const };
      const [runbooks, application, said] = await withProgress(progress, () =>
        Promise.all([attempt(url), given === undefined ? null : attempt(given), readStatus(place)]),
      );
      return {
        runbooks,
        application,
        ...said,
        asksStatus: server?.status !== undefined,
        paused: said.status !== null && (server?.paused ?? []).includes(said.status),
        canStart: server?.start !== undefined,
        settleMs: (server?.settleSeconds ?? DEFAULT_SETTLE_SECONDS) * 1_000,
      };
    },

    /**
     * Starts the server as the configuration says. The fence lies in the very database that does not answer, so nobody
     * compares it; the lease keeps other runs out, and to start a server that runs is harmless. So a retry is safe. Throws
     * CommandFailed and HttpFailed.
     */
    async startDatabaseServer({ fence, ...place }: Place & { fence: Fence }): Promise<CommandResult> {
      const start = serverOf(place)?.start;
      if (start === undefined)
        return { ran: false, detail: 'no database.server.start configured', durationMs: 0 };
      return runChange(deps, { ...place, fence }, start, 'start the database server');
    },
  };
}

function inTime(source: SourceConfig): SourceConfig {
  const { command, operation } = source;
  const timeoutSeconds = Math.min(command?.timeoutSeconds ?? Infinity, STATUS_SECONDS);
  const timeoutMs = Math.min(operation?.timeoutMs ?? Infinity, STATUS_SECONDS * 1_000);
  return {
    ...source,
    ...(command === undefined ? {} : { command: { ...command, timeoutSeconds } }),
    ...(operation === undefined ? {} : { operation: { ...operation, timeoutMs, poll: undefined } }),
  };
}
