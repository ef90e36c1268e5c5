import type { Client } from 'pg';
import { databaseIn, type Place } from '../../contract/place';
import { checkRole } from '../postgres/repair/role';
import { highestFenceToken } from '../postgres/session/bookkeeping';
import { withClient } from '../postgres/session/connection';
import type { ActivityDeps } from '../support/deps';
import { bookingsOf, type BookingsConfig } from './settings';
import { readBookingTables, writtenTables, type BookingTables } from './tables';
import { unconfiguredOf, type State } from './unconfigured';

/** The whole table is read, without a lock. */
const SEARCH_TIMEOUT_MS = 30 * 60_000;

/** What every plan of a repair needs, whatever is looked for. */
export interface Looked {
  /** What is missing in the configuration, for the plan. */
  unconfigured: string[];
  fenceToken: number;
}

/**
 * Looks for rows to repair, in one session that only reads. `states` are those that the repair relies on; what
 * `read` itself finds missing in the configuration comes first. Throws
 * MappingInvalid, RepairRoleInvalid, WrongDatabase, DatabaseUnreachable.
 */
export async function lookAtBookings<T extends object>(
  deps: ActivityDeps,
  place: Place,
  { action, states }: { action: string; states: State[] },
  read: (
    client: Client,
    tables: BookingTables,
    config: BookingsConfig,
  ) => Promise<T & { unconfigured?: string[] }>,
): Promise<Omit<T & { unconfigured?: string[] }, 'unconfigured'> & Looked> {
  const config = bookingsOf(deps, place.service);
  return withClient(
    deps,
    databaseIn(place),
    async (client) => {
      const tables = await readBookingTables(client, place.service, config);
      if (config.role !== undefined) await checkRole(client, config.role, writtenTables(tables));
      const { unconfigured: own = [], ...found } = await read(client, tables, config);
      return {
        ...found,
        unconfigured: [...own, ...(await unconfiguredOf(client, config, tables, states))],
        fenceToken: await highestFenceToken(client),
      };
    },
    { identity: true, allRows: true, readOnly: true, statementTimeoutMs: SEARCH_TIMEOUT_MS, action },
  );
}
