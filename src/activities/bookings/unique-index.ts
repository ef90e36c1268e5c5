import type { Client } from 'pg';
import { databaseIn, type Fence, type Place } from '../../contract/place';
import {
  afterBuilds,
  buildConcurrently,
  buildingSql,
  dropConcurrently,
  type IndexState,
} from '../postgres/indexes/build-concurrently';
import { claimOf } from '../postgres/indexes/claims';
import { withClient } from '../postgres/session/connection';
import { withHeldFence } from '../postgres/session/held-fence';
import type { ActivityDeps } from '../support/deps';
import { sqlStateOf } from '../support/failure';
import { bookingsOf, type BookingsConfig } from './settings';
import { readBookingTables, type BookingTables } from './tables';

/** The index that keeps a slot from being sold twice. */
export interface UniqueIndex {
  /** `impossible`: no index of that table can. `building`: somebody does right now. */
  state: 'present' | 'missing' | 'invalid' | 'building' | 'other' | 'impossible' | 'unconfigured';
  name: string;
  /** What builds it; empty where nothing does. */
  statement: string;
  detail: string;
}

const BUILD_TIMEOUT_MS = 4 * 3_600_000;
const HOLDER_MS = 30_000;
const DUPLICATE_NAME = '42P07';
const NOT_UNIQUE = '23505';

interface FoundIndex {
  partitioned: boolean;
  there: boolean;
  mine: boolean;
  valid: boolean;
  building: boolean;
  unique: boolean;
  /** On the slot, and on nothing else. */
  only: boolean;
  text: string;
  predicate: string | null;
  /** Whether the predicate is about the state, and about nothing else. */
  byState: boolean;
}

const INDEX_SQL = `
  SELECT t.relkind = 'p' AS partitioned, i.indexrelid IS NOT NULL AS there, i.indrelid = t.oid AS mine,
         i.indisvalid AND i.indisready AS valid, ${buildingSql('i', 't')} AS building, i.indisunique AS "unique",
         i.indnkeyatts = 1 AND i.indkey[0] = slot.attnum AS only, pg_get_indexdef(i.indexrelid) AS text,
         pg_get_expr(i.indpred, i.indrelid) AS predicate,
         NOT EXISTS (SELECT FROM regexp_matches(i.indpred::text, ':varattno (-?[0-9]+)', 'g') AS named
                      WHERE named[1] <> status.attnum::text) AS "byState"
    FROM pg_class t
    JOIN pg_attribute slot ON slot.attrelid = t.oid AND slot.attname = $4
    JOIN pg_attribute status ON status.attrelid = t.oid AND status.attname = $5
    LEFT JOIN (SELECT x.*, c.oid FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $2 AND c.relname = $3) i ON true
   WHERE t.oid = $1::regclass`;

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
  const { slot, status } = columns;
  const confirmed = client.escapeLiteral(states.confirmed);
  const statement = `CREATE UNIQUE INDEX CONCURRENTLY ${client.escapeIdentifier(name)} ON ${table} (${slot.name}) WHERE ${status.name} = ${confirmed}`;
  const { schema, columns: named } = tables.bookings;
  const { rows } = await client.query<FoundIndex>(INDEX_SQL, [table, schema, name, named.slot, named.status]);
  const found = rows[0]!;
  const as = (state: UniqueIndex['state'], detail: string): UniqueIndex => ({
    state,
    name,
    statement: state === 'impossible' ? '' : statement,
    detail,
  });
  // Its key is unique by itself, so its partitions are told apart by that, and each unique index has to contain it.
  if (found.partitioned)
    return as(
      'impossible',
      `${table} is partitioned, and no unique index of it can be on ${slot.name} alone: only the application keeps a slot from being sold twice`,
    );
  if (!found.there) return as('missing', `there is no index ${name}`);
  const is = found.mine && found.unique && found.only && (await covers(client, found));
  if (!is)
    return as(
      'other',
      `index ${name} is another one than it should be: ${found.text}; give that another name or drop it first`,
    );
  if (found.valid) return as('present', `index ${name} is there`);
  return found.building
    ? as(
        'building',
        `index ${name} is not valid, and somebody builds an index right now (pg_stat_progress_create_index)`,
      )
    : as('invalid', `index ${name} is invalid, left by a build that failed`);

  /** Whether it holds every confirmed booking: one of fewer rows, or of others, lets a slot be sold twice. */
  async function covers(session: Client, { predicate, byState }: FoundIndex): Promise<boolean> {
    if (predicate === null) return true;
    if (!byState) return false;
    const { rows: asked } = await session.query<{ holds: boolean | null }>(
      `SELECT (${predicate}) AS holds FROM (SELECT ${confirmed}::${status.type} AS ${status.name}) t`,
    );
    return asked[0]?.holds === true;
  }
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
     * Builds it CONCURRENTLY, which stops nobody, and after whoever builds it already. What a build that failed left under
     * its name is dropped first. Returns how it is then: that a slot was sold twice meanwhile, or that something else has
     * its name, says nothing against what was done before. Safe to retry. Throws LockTimeout, StaleFencingToken, FenceBusy.
     */
    async buildUniqueIndex(input: Place & { fence: Fence }): Promise<UniqueIndex> {
      return underHeldFence(input, 'build the unique index', async (client, config, tables) => {
        const read = async (session: Client) => stateOf(await findUniqueIndex(session, tables, config));
        const { found: before } = (await afterBuilds(() => read(client), BUILD_TIMEOUT_MS))!;
        if (before.state !== 'missing' && before.state !== 'invalid') return before;
        const built = claimOf(client, input.fence, qualified(client, config, before), 'build');
        await built.claim();
        try {
          await buildConcurrently(deps, databaseIn(input), client, {
            index: qualified(client, config, before),
            statement: before.statement,
            label: `${input.service}/${input.environment}`,
            next: 'build it yourself',
            read: async (session) => {
              const state = await read(session);
              return state.found.state === 'missing' ? undefined : state;
            },
            isOurs: ({ found }) => found.state === 'invalid' || found.state === 'building',
          });
        } catch (error) {
          const state = sqlStateOf(error);
          const taken = state === DUPLICATE_NAME;
          const { found: left } = taken
            ? (await afterBuilds(() => read(client), BUILD_TIMEOUT_MS))!
            : await read(client);
          if (taken || left.state === 'missing') await built.disclaim();
          if (taken) return left;
          if (state !== NOT_UNIQUE) throw error;
          const again = `a slot was sold twice again before index ${before.name} was built, so it was not; start again`;
          return { ...left, detail: left.state === 'missing' ? again : `${again}; ${left.detail}` };
        }
        return findUniqueIndex(client, tables, config);
      });
    },

    /** Drops the index where this run has built it, and nobody else. Safe to retry. */
    async dropUniqueIndex(input: Place & { fence: Fence }): Promise<UniqueIndex> {
      return underHeldFence(input, 'drop the unique index', async (client, config, tables) => {
        const found = await findUniqueIndex(client, tables, config);
        if (!['present', 'invalid', 'building'].includes(found.state)) return found;
        const built = claimOf(client, input.fence, qualified(client, config, found), 'build');
        if (!(await built.isClaimed()))
          return { ...found, detail: `index ${found.name} stays: somebody else has built it` };
        await dropConcurrently(client, qualified(client, config, found));
        await built.disclaim();
        return findUniqueIndex(client, tables, config);
      });
    },
  };
}

function stateOf(found: UniqueIndex): IndexState & { found: UniqueIndex } {
  return { found, valid: found.state === 'present', building: found.state === 'building' };
}

function qualified(client: Client, { tables }: BookingsConfig, { name }: UniqueIndex): string {
  return `${client.escapeIdentifier(tables.bookings.schema)}.${client.escapeIdentifier(name)}`;
}
