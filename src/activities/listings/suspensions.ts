import type { Client } from 'pg';
import { serviceOf } from '../../config/load';
import { SUSPEND_STEP } from '../../contract/listings';
import { appendAudit } from '../postgres/repair/audit-trail';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../postgres/repair/batches';
import { changedBefore, changeRows, withImages, type LogEntry } from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { valueParameter } from '../postgres/repair/mapping';
import { checkSelection } from '../postgres/repair/selection';
import { undoAudited } from '../postgres/repair/undo-audited';
import type { ActivityDeps } from '../support/deps';
import type { UnapprovedListing } from './audit';
import { listingsOf, type ListingsConfig } from './settings';
import {
  changedTables,
  readListingTables,
  unapproved,
  unapprovedParameters,
  type ListingTables,
} from './tables';

export interface SuspendInput extends RepairInput {
  /** Those of the plan, and no others. */
  listings: Pick<UnapprovedListing, 'id' | 'providerState' | 'profileState'>[];
}

type Item = SuspendInput['listings'][number] & { unit: string };

/** Takes listings off sale, and back on. Nothing else is ever written but the audit trail. */
export function createSuspensionActivities(deps: ActivityDeps) {
  return {
    /**
     * Suspends exactly the named listings and writes it down in the same transaction. One that is not published any more, or
     * approved by now, is left alone: that is asked again when its row is locked. Safe to retry. Throws EmptySelection,
     * TooManyTargets, StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async suspendListings(input: SuspendInput): Promise<Repaired> {
      const config = listingsOf(deps, input.service);
      checkSelection(input, {
        count: input.listings.length,
        one: 'listing',
        many: 'listings',
        become: 'suspended',
        most: serviceOf(deps.config, input.service).maxDestructive,
        limit: 'maxDestructive allows',
      });
      const log = { run: input.run, step: SUSPEND_STEP };
      let tables: ListingTables;
      return inBatches<Item>(
        deps,
        input,
        { role: config.role, batchRows: config.batchRows, action: 'suspend listings', step: SUSPEND_STEP },
        async (client) => {
          tables = await readListingTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.listings);
          const items = input.listings
            .filter(({ id }) => !before.has(id))
            .map((listing) => ({ ...listing, unit: `listing ${listing.id}` }));
          return { items, weigh: () => 1, doneBefore: before.size };
        },
        (client, items) => suspendBatch(client, { log, tables, config }, items),
      );
    },

    /**
     * Publishes again what this run suspended, past the gate where it is in force, and writes that down. What somebody has
     * changed since is left alone and named. Safe to retry. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async undoListingSuspension(input: RepairInput): Promise<Repaired> {
      const config = listingsOf(deps, input.service);
      const { role, batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put listings back' },
        {
          step: SUSPEND_STEP,
          read: async (client) => {
            const tables = await readListingTables(client, input.service, config);
            return { changed: changedTables(tables), entities: tables.listings, trail: tables.audit };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}

interface Suspension {
  log: LogEntry;
  tables: ListingTables;
  config: ListingsConfig;
}

async function suspendBatch(
  client: Client,
  { log, tables, config }: Suspension,
  items: Item[],
): Promise<BatchResult<Item>> {
  const { listings: table, audit: trail } = tables;
  const { states, audit } = config;
  const { got, locked } = await lockRows(client, table, {
    keys: items.map(({ id }) => id),
    strength: 'NO KEY UPDATE',
    where: unapproved(tables, 2),
    parameters: unapprovedParameters(tables, config),
  });
  const mine = items.filter(({ id }) => got.has(id));
  const rows = mine.map(({ id, unit }) => ({ key: id, unit }));
  const { status } = table.columns;
  const done = await withImages(client, log, [{ table, rows }], () =>
    changeRows(client, table, rows, `${status.name} = ${valueParameter(2, status)}`, [states.suspended]),
  );
  const entries = mine.map(({ id, providerState, profileState }) => ({
    entity: id,
    details: {
      reason: 'not approved',
      provider: providerState ?? 'none',
      profile: profileState ?? 'none',
      run: log.run,
    },
  }));
  await appendAudit(client, trail, { ...audit, action: audit.suspended }, entries);
  const missing = items.filter(({ id }) => !got.has(id));
  return {
    done,
    left: missing
      .filter(({ id }) => !locked.has(id))
      .map(({ unit }) => ({ unit, why: 'it is not published any more, or approved by now' })),
    later: missing.filter(({ id }) => locked.has(id)),
  };
}
