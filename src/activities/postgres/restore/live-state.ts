import type { Client } from 'pg';
import { databaseOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { highestFenceToken, maintenanceSchema } from '../session/bookkeeping';
import { withClient } from '../session/connection';
import { isDamage } from '../session/damage';
import { fail, sqlStateOf } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import { readFoundIdentity } from '../session/identity';
import { countRows, listTables, readWholeTables } from '../backups/inventory';
import { readReplication } from '../backups/replication';
import { countClientSessions } from '../session/sessions';
import { findDatabase, readReadOnlySetting } from './database-marks';
import { inMaintenance, liveName } from './maintenance';
import { databaseIn, targetOf, type Place } from '../../../contract/place';
import type { LiveState } from '../../../contract/database';

/** People wait for the plan; what was not reached by then is said. */
const READING_MS = 120_000;
/** Of any statement: a server that hangs must not keep people from being called. */
const ANSWER_MS = READING_MS + 10_000;
const MOST_NAMED = 20;

type Contents = Pick<
  LiveState,
  'condition' | 'why' | 'tables' | 'rows' | 'unreadable' | 'unreadableTables' | 'unseenTables' | 'fenceToken'
>;

export interface InspectInput extends Place {
  /** Do not read the tables: only see whether it is still the same. */
  briefly?: boolean;
}

/**
 * What there is of the live database, for people who have lost some of it: also where it is gone, closed or cannot be read,
 * and where its server was replaced by a new one that is empty. Reads only.
 * Throws WrongDatabase (a standby; another server than the registered one that is not empty) and what a session can throw.
 */
export async function inspectLive(deps: ActivityDeps, place: InspectInput): Promise<LiveState> {
  const first = { phase: 'read the tables', done: 0, total: 0, unit: 'tables' } as const;
  return withProgress(first, async (report) => {
    const name = liveName(deps, place);
    const server = await inMaintenance(deps, place, (client) => readServer(client, name), {
      identity: false,
      answerTimeoutMs: ANSWER_MS,
    });
    const { standby, exists, open, beside, others, ...said } = server;
    if (standby) {
      throw fail(
        'WrongDatabase',
        `The server of ${targetOf(place)} is a standby: nothing can be restored there. If it is to take over, promote it (SELECT pg_promote()) and start again; else correct the URL.`,
      );
    }
    const { identity } = databaseOf(deps.config, place.service, place.environment);
    const registered = said.systemIdentifier === identity.systemIdentifier;
    const here = { ...place, systemIdentifier: said.systemIdentifier };
    const contents = !exists
      ? nothing('missing')
      : !open
        ? nothing('closed')
        : await readContents(deps, here, (total, done) => report({ total, done }), place.briefly === true);
    if (!registered && (contents.tables > 0 || !['there', 'missing'].includes(contents.condition))) {
      throw fail(
        'WrongDatabase',
        `The server of ${targetOf(place)} is not the registered one (system identifier ${said.systemIdentifier} instead of ${identity.systemIdentifier}), and its database "${name}" is not empty. Only an empty server is taken for a replacement. Correct the URL, or the identity if the server was moved (\`runbooks check\` prints it).`,
      );
    }
    if (!registered && others.length > 0) {
      throw fail(
        'WrongDatabase',
        `The server of ${targetOf(place)} is not the registered one (system identifier ${said.systemIdentifier} instead of ${identity.systemIdentifier}), and it has other databases: ${others.join(', ')}. Only an empty server is taken for a replacement. Correct the URL, or the identity if the server was moved.`,
      );
    }
    return {
      database: name,
      registered,
      ...said,
      ...contents,
      fenceToken: Math.max(beside, contents.fenceToken),
    };
  });
}

function nothing(condition: LiveState['condition'], why: string | null = null): Contents {
  return {
    condition,
    why,
    tables: 0,
    rows: 0,
    unreadable: [],
    unreadableTables: 0,
    unseenTables: 0,
    fenceToken: 0,
  };
}

/** Everything that a session beside the database can tell. */
async function readServer(client: Client, name: string) {
  const { systemIdentifier, standby } = await readFoundIdentity(client);
  const found = await findDatabase(client, name);
  const { rows } = await client.query<{
    size: string | null;
    oid: string | null;
    others: string[];
    prepared: string[];
  }>(
    `SELECT (SELECT oid::text FROM pg_database WHERE datname = $1) AS oid,
            ARRAY(SELECT datname::text FROM pg_database WHERE datname NOT IN ($1, 'postgres') AND NOT datistemplate
                   ORDER BY 1 LIMIT 5) AS others,
            (SELECT pg_database_size(oid)::text FROM pg_database WHERE datname = $1) AS size,
            ARRAY(SELECT gid::text FROM pg_prepared_xacts WHERE database = $1 ORDER BY 1 LIMIT 20) AS prepared`,
    [name],
  );
  const { size, oid, others, prepared } = rows[0]!;
  return {
    systemIdentifier,
    oid,
    others,
    standby,
    exists: found !== undefined,
    open: found?.allowsConnections === true,
    sizeBytes: size === null ? null : Number(size),
    readOnlySetting: await readReadOnlySetting(client, name),
    sessions: await countClientSessions(client, name),
    preparedTransactions: prepared,
    replication: await readReplication(client, name),
    beside: await highestFenceToken(client, await maintenanceSchema(client)),
  };
}

/** Counts every table, for as long as there is time: a page that cannot be read says so only when it is read. */
async function readContents(
  deps: ActivityDeps,
  place: Place,
  report: (total: number, done: number) => void,
  briefly: boolean,
): Promise<Contents> {
  const until = Date.now() + READING_MS;
  const read = async (client: Client): Promise<Contents> => {
    const contents = nothing('there');
    await readWholeTables(client);
    contents.fenceToken = await highestFenceToken(client).catch(() => 0);
    const tables = (await listTables(client)).filter(({ schema }) => schema !== 'durable_runbooks');
    contents.tables = tables.length;
    if (briefly) return contents;
    for (const [index, table] of tables.entries()) {
      report(tables.length, index);
      const left = until - Date.now();
      if (left <= 0) {
        contents.unseenTables += tables.length - index;
        break;
      }
      await client.query(`SELECT set_config('statement_timeout', $1, false)`, [String(Math.ceil(left))]);
      try {
        contents.rows += await countRows(client, table);
      } catch (error) {
        // Out of time, or locked by somebody: not known.
        if (['57014', '55P03'].includes(sqlStateOf(error) ?? '')) contents.unseenTables += 1;
        else if (!isDamage(error)) throw error;
        else {
          contents.unreadableTables += 1;
          if (contents.unreadable.length < MOST_NAMED)
            contents.unreadable.push({
              table: `${table.schema}.${table.name}`,
              why: (error as Error).message,
            });
        }
      }
    }
    return contents;
  };
  try {
    return await withClient(deps, databaseIn(place), read, {
      identity: true,
      allRows: true,
      answerTimeoutMs: ANSWER_MS,
      action: 'read the live database',
    });
  } catch (error) {
    if (!isDamage(error)) throw error;
    return nothing('unreadable', (error as Error).message);
  }
}
