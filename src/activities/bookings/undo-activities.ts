import type { Repaired, RepairInput } from '../postgres/repair/batches';
import { canPassTriggers, undoRows } from '../postgres/repair/undo';
import { databaseIn } from '../../contract/place';
import { withClient } from '../postgres/session/connection';
import type { ActivityDeps } from '../support/deps';
import { bookingsOf } from './settings';
import { changedTables, readBookingTables, writeAudit, type BookingTables } from './tables';

/** Puts bookings back as they were before a run. */
export function createBookingUndoActivities(deps: ActivityDeps) {
  return {
    /**
     * Takes back what a step of this run did to bookings, slots and links, and writes that down: the audit trail only
     * grows. What somebody has changed since is left alone and named. Safe to retry. Throws StaleFencingToken, FenceBusy,
     * MappingInvalid.
     */
    async undoBookingRepair({ step, ...input }: RepairInput & { step: string }): Promise<Repaired> {
      const config = bookingsOf(deps, input.service);
      const withoutTriggers = await withClient(deps, databaseIn(input), canPassTriggers, {
        readOnly: true,
        action: 'look at our rights',
      });
      let tables: BookingTables;
      return undoRows(
        deps,
        input,
        { role: config.role, batchRows: config.batchRows, action: 'put bookings back', withoutTriggers },
        {
          step,
          tables: async (client) => {
            tables = await readBookingTables(client, input.service, config);
            return changedTables(tables);
          },
          afterwards: async (client, units) => {
            const { rows } = await client.query<{ booking: string }>(
              `SELECT key AS booking FROM durable_runbooks.change_log
                WHERE run = $1 AND step = $2 AND relation = $3 AND unit = ANY($4) AND before <> after`,
              [input.run, step, tables.bookings.name, units],
            );
            const entries = rows.map(({ booking }) => ({
              booking,
              details: { reason: 'undone', step, run: input.run },
            }));
            await writeAudit(client, tables, config, config.audit.restored, entries);
          },
        },
      );
    },
  };
}
