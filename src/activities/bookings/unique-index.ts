import type { Client } from 'pg';
import { databaseIn, type Fence, type Place } from '../../contract/place';
import { withClient } from '../postgres/session/connection';
import { withHeldFence } from '../postgres/session/held-fence';
import type { ActivityDeps } from '../support/deps';
import { fail, sqlStateOf } from '../support/failure';
import { bookingsOf, type BookingsConfig } from './settings';
import { readBookingTables, type BookingTables } from './tables';

/** The index that keeps a slot from being sold twice. */
export interface UniqueIndex {
  state: 'present' | 'missing' | 'invalid' | 'other' | 'unconfigured';
  name: string;
  /** What builds it; empty where none is configured. */
  statement: string;
  detail: string;
}

const BUILD_TIMEOUT_MS = 4 * 3_600_000;
const HOLDER_MS = 30_000;
const DUPLICATE_NAME = '42P07';

/** Looks for the configured index on the table of bookings. */
export async function findUniqueIndex(
  client: Client,
  { bookings: { name: table, columns } }: BookingTables,
  { uniqueIndex: name, states, tables }: BookingsConfig,
): Promise<UniqueIndex> {
  if (name === undefined)
    return {
      state: 'unconfigured',
      name: '',
      statement: '',
      detail: 'no index is configured that would keep a slot from being sold twice',
    };
  const confirmed = client.escapeLiteral(states.confirmed);
  const statement = `CREATE UNIQUE INDEX CONCURRENTLY ${client.escapeIdentifier(name)} ON ${table} (${columns.slot.name}) WHERE ${columns.status.name} = ${confirmed}`;
  const { rows } = await client.query<{
    mine: boolean;
    valid: boolean;
    unique: boolean;
    only: boolean;
    text: string;
  }>(
    `SELECT i.indrelid = $1::regclass AS mine, i.indisvalid AND i.indisready AS valid, i.indisunique AS "unique",
            i.indnkeyatts = 1 AND i.indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = i.indrelid AND attname = $4) AS only,
            pg_get_indexdef(i.indexrelid) AS text
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $2 AND c.relname = $3`,
    [table, tables.bookings.schema, name, tables.bookings.columns.slot],
  );
  const [found] = rows;
  const as = (state: UniqueIndex['state'], detail: string): UniqueIndex => ({
    state,
    name,
    statement,
    detail,
  });
  if (found === undefined) return as('missing', `there is no index ${name}`);
  if (!found.mine || !found.unique || !found.only)
    return as('other', `index ${name} is another one than it should be: ${found.text}`);
  return found.valid
    ? as('present', `index ${name} is there`)
    : as('invalid', `index ${name} is invalid, left by a build that failed`);
}

/** Builds the index, and drops it again. */
export function createUniqueIndexActivities(deps: ActivityDeps) {
  /** `work` in a session of its own, while another one holds the fence. No lock timeout: it would only leave invalid indexes. */
  async function underHeldFence<T>(
    input: Place & { fence: Fence },
    action: string,
    work: (client: Client, config: BookingsConfig, tables: BookingTables) => Promise<T>,
  ): Promise<T> {
    const config = bookingsOf(deps, input.service);
    const held = { fence: input.fence, waitMs: HOLDER_MS, action };
    return withHeldFence(deps, databaseIn(input), held, ({ hold }) =>
      hold(() =>
        withClient(
          deps,
          databaseIn(input),
          async (client) => work(client, config, await readBookingTables(client, input.service, config)),
          { identity: true, lockTimeoutMs: 0, statementTimeoutMs: BUILD_TIMEOUT_MS, action },
        ),
      ),
    );
  }

  return {
    /** Whether the index is there and valid. Reads only. */
    async readUniqueIndex(place: Place): Promise<UniqueIndex> {
      const config = bookingsOf(deps, place.service);
      return withClient(
        deps,
        databaseIn(place),
        async (client) =>
          findUniqueIndex(client, await readBookingTables(client, place.service, config), config),
        { identity: true, readOnly: true, action: 'look at the unique index' },
      );
    },

    /**
     * Builds it CONCURRENTLY, which stops nobody. What a build that failed left under its name is dropped first. Safe to
     * retry. Throws IndexNotUnique where a slot is sold twice again, StaleFencingToken, FenceBusy.
     */
    async buildUniqueIndex(input: Place & { fence: Fence }): Promise<UniqueIndex> {
      return underHeldFence(input, 'build the unique index', async (client, config, tables) => {
        const before = await findUniqueIndex(client, tables, config);
        if (before.state === 'present') return before;
        if (before.state === 'invalid') await dropIndex(client, config, before);
        if (before.state !== 'missing' && before.state !== 'invalid')
          throw fail('IndexMissing', before.detail);
        const built = builtIndex(client, input.fence, config, before);
        await built.claim();
        try {
          await client.query(before.statement);
        } catch (error) {
          const taken = sqlStateOf(error) === DUPLICATE_NAME;
          const find = () => findUniqueIndex(client, tables, config).catch(() => undefined);
          if (!taken && (await find())?.state === 'invalid')
            await dropIndex(client, config, before).catch(() => undefined);
          const left = await find();
          if (taken || left?.state === 'missing') await built.disclaim();
          if (taken && left?.state === 'present') return left;
          if (sqlStateOf(error) !== '23505') throw error;
          throw fail(
            'IndexNotUnique',
            `Index ${before.name} cannot be built: a slot is sold twice again. Start again.`,
          );
        }
        return findUniqueIndex(client, tables, config);
      });
    },

    /** Drops the index where this run has built it, and nobody else. Safe to retry. */
    async dropUniqueIndex(input: Place & { fence: Fence }): Promise<UniqueIndex> {
      return underHeldFence(input, 'drop the unique index', async (client, config, tables) => {
        const found = await findUniqueIndex(client, tables, config);
        if (found.state !== 'present' && found.state !== 'invalid') return found;
        const built = builtIndex(client, input.fence, config, found);
        if (!(await built.isClaimed()))
          return { ...found, detail: `index ${found.name} stays: somebody else has built it` };
        await dropIndex(client, config, found);
        await built.disclaim();
        return findUniqueIndex(client, tables, config);
      });
    },
  };
}

async function dropIndex(client: Client, { tables }: BookingsConfig, { name }: UniqueIndex): Promise<void> {
  const schema = client.escapeIdentifier(tables.bookings.schema);
  await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${schema}.${client.escapeIdentifier(name)}`);
}

/** Written down before the build, which no transaction can hold together with it. */
function builtIndex(
  client: Client,
  { target, token }: Fence,
  { tables }: BookingsConfig,
  { name }: UniqueIndex,
) {
  const key = [target, token, `${tables.bookings.schema}.${name}`];
  const where = 'target = $1 AND token = $2 AND name = $3';
  return {
    claim: () =>
      client.query(
        'INSERT INTO durable_runbooks.built_index (target, token, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        key,
      ),
    disclaim: () => client.query(`DELETE FROM durable_runbooks.built_index WHERE ${where}`, key),
    async isClaimed(): Promise<boolean> {
      const { rowCount } = await client.query(`SELECT FROM durable_runbooks.built_index WHERE ${where}`, key);
      return rowCount !== 0;
    },
  };
}
