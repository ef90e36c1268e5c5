import type { Repaired, RepairInput } from '../postgres/repair/batches';
import { undoAudited } from '../postgres/repair/undo-audited';
import type { ActivityDeps } from '../support/deps';
import { bookingsOf } from './settings';
import { changedTables, readBookingTables } from './tables';

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
      const { role, batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put bookings back' },
        {
          step,
          read: async (client) => {
            const tables = await readBookingTables(client, input.service, config);
            return { changed: changedTables(tables), entities: tables.bookings, trail: tables.audit };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}
