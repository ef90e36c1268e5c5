import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { highestFenceToken } from '../session/bookkeeping';
import { withClient } from '../session/connection';
import { fail } from '../../support/failure';
import { readFoundIdentity, type FoundIdentity } from '../session/identity';
import type { DatabaseFacts } from '../../../contract/database';
import { readReplicas } from '../session/replicas';
import { listLongTransactions, listPreparedTransactions } from '../session/sessions';
import { openTools, requireMajor } from '../session/tools';
import type { DatabaseRef } from '../../../contract/place';

export interface FactsInput {
  database: DatabaseRef;
  /** The run will change something there: a database that takes no writes is an error. */
  write?: boolean;
}

export function createFactsActivities(deps: ActivityDeps) {
  return {
    /**
     * What a runbook has to know about a database before it plans anything. Reads only, so a retry is safe.
     * Throws WrongDatabase, PoolerRefused, ClientTooOld, ReadOnlyDatabase (with `write`), AuthenticationFailed,
     * DatabaseUnreachable.
     */
    async readDatabaseFacts({ database, write }: FactsInput): Promise<DatabaseFacts> {
      const tools = await openTools(deps);
      return withClient(
        deps,
        database,
        async (client) => {
          const facts = {
            ...(await readFacts(client)),
            clientMajor: tools.major,
            ...lagLimitOf(deps, database),
          };
          requireMajor(Math.floor(facts.serverVersionNum / 10_000), tools);
          if (write === true && facts.readOnly) {
            throw fail(
              'ReadOnlyDatabase',
              `Database ${facts.database} takes no writes (default_transaction_read_only is on for ${facts.role}). End its read-only mode, or point the configuration at the primary.`,
            );
          }
          return facts;
        },
        { identity: true, action: 'read the facts' },
      );
    },

    /**
     * Who the server behind the URL of an environment says it is, registered or not: what `identity` in the
     * configuration should say. Reads only.
     */
    async readIdentity(input: { service: string; environment: string }): Promise<FoundIdentity> {
      return withClient(deps, { kind: 'service', ...input }, (client) => readFoundIdentity(client), {
        readOnly: true,
        action: 'read the identity',
      });
    },
  };
}

function lagLimitOf({ config }: ActivityDeps, database: DatabaseRef): { replicaLagLimitSeconds?: number } {
  if (database.kind === 'scratch') return {};
  return { replicaLagLimitSeconds: serviceOf(config, database.service).migrations.maxReplicaLagSeconds };
}

async function readFacts(client: Client): Promise<Omit<DatabaseFacts, 'clientMajor'>> {
  const { rows } = await client.query<
    Omit<
      DatabaseFacts,
      'clientMajor' | 'fenceToken' | 'longTransactions' | 'maxReplicaLagSeconds' | 'sizeBytes'
    > & {
      size: string;
    }
  >(
    `SELECT current_database() AS database, (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
            current_setting('server_version') AS "serverVersion", current_setting('server_version_num')::int AS "serverVersionNum",
            current_user AS role,
            (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS "canSeeAllRows",
            (pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool) AS "readOnly",
            pg_database_size(current_database())::text AS size,
            (SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_'
                AND n.nspname NOT IN ('information_schema', 'durable_runbooks')) AS tables`,
  );
  const { size, ...row } = rows[0]!;
  const replicas = await readReplicas(client);
  return {
    ...row,
    sizeBytes: Number(size),
    fenceToken: await highestFenceToken(client),
    longTransactions: await listLongTransactions(client),
    preparedTransactions: await listPreparedTransactions(client),
    maxReplicaLagSeconds: replicas.find(({ lagSeconds }) => lagSeconds !== null)?.lagSeconds ?? null,
    unseenReplicas: replicas.filter(({ lagSeconds }) => lagSeconds === null).length,
  };
}
