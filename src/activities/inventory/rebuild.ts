import type { Client } from 'pg';
import { REBUILD_STEP } from '../../contract/inventory';
import { appendAudit } from '../postgres/repair/audit-trail';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../postgres/repair/batches';
import { changedBefore, changeRows, withImages, type LogEntry } from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { checkSelection } from '../postgres/repair/selection';
import { undoAudited } from '../postgres/repair/undo-audited';
import type { ActivityDeps } from '../support/deps';
import { mostUnits } from './audit';
import { inventoryOf, type InventoryConfig } from './settings';
import {
  changedTables,
  COUNT_COLUMNS,
  countsOf,
  readInventoryTables,
  type InventoryTables,
  type UnitCount,
} from './tables';

export interface RebuildInput extends RepairInput {
  /** Keys of the plan, and no others. */
  units: string[];
}

interface Item {
  id: string;
  unit: string;
}

/** Rebuilds counters, and puts them back. Nothing else is ever written but the audit trail. */
export function createRebuildActivities(deps: ActivityDeps) {
  return {
    /**
     * Sets the counter of exactly the named units to what their ledger adds up to at the moment when their row is locked, and
     * writes it down in the same transaction. One whose counter is right by then, or whose ledger cannot be followed, is left
     * alone. Safe to retry. Throws EmptySelection, TooManyTargets, StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async rebuildCounters(input: RebuildInput): Promise<Repaired> {
      const config = inventoryOf(deps, input.service);
      checkSelection(input, {
        count: input.units.length,
        one: 'unit',
        many: 'counters',
        become: 'rebuilt',
        most: mostUnits(deps, input.service),
        limit: 'one run may touch',
      });
      const log = { run: input.run, step: REBUILD_STEP };
      let tables: InventoryTables;
      return inBatches<Item>(
        deps,
        input,
        { role: config.role, batchRows: config.batchRows, action: 'rebuild counters', step: REBUILD_STEP },
        async (client) => {
          tables = await readInventoryTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.units);
          const items = input.units.filter((id) => !before.has(id)).map((id) => ({ id, unit: `unit ${id}` }));
          return { items, weigh: () => 1, doneBefore: before.size };
        },
        (client, items) => rebuildBatch(client, { log, tables, config }, items),
      );
    },

    /**
     * Gives the counters back the numbers that this run found, and writes that down. One that somebody has changed since is
     * left alone and named. Safe to retry. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async undoRebuild(input: RepairInput): Promise<Repaired> {
      const config = inventoryOf(deps, input.service);
      const { role, batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put counters back' },
        {
          step: REBUILD_STEP,
          read: async (client) => {
            const tables = await readInventoryTables(client, input.service, config);
            return { changed: changedTables(tables), entities: tables.units, trail: tables.audit };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}

interface Rebuild {
  log: LogEntry;
  tables: InventoryTables;
  config: InventoryConfig;
}

async function rebuildBatch(
  client: Client,
  { log, tables, config }: Rebuild,
  items: Item[],
): Promise<BatchResult<Item>> {
  const { units: table, ledger, audit: trail } = tables;
  const keys = items.map(({ id }) => id);
  // The whole lock: an entry that refers to the unit waits, and one that is being added keeps us out.
  const { got, locked } = await lockRows(client, table, { keys, strength: 'UPDATE' });
  const mine = items.filter(({ id }) => got.has(id));
  // Only now: what was sold since the plan is in it.
  const { rows: now } = await client.query<UnitCount>(
    `${countsOf(tables, true)} SELECT ${COUNT_COLUMNS} FROM counts`,
    [config.counts, mine.map(({ id }) => id)],
  );
  const counts = new Map(now.map((count) => [count.id, count]));
  const wrong = mine.filter(({ id }) => counts.get(id)?.differs && counts.get(id)?.disputed === null);
  const { id, sold } = table.columns;
  const { unit, quantity } = ledger.columns;
  const rows = wrong.map((one) => ({ key: one.id, unit: one.unit }));
  const sum = `(SELECT coalesce(sum(l.${quantity.name}::numeric), 0) FROM ${ledger.name} l WHERE l.${unit.name} = t.${id.name})`;
  const done = await withImages(client, log, [{ table, rows }], () =>
    changeRows(client, table, rows, `${sold.name} = ${sum}::${sold.type}`, []),
  );
  const entries = wrong.map((one) => ({
    entity: one.id,
    details: {
      reason: 'counter was not what the ledger adds up to',
      was: counts.get(one.id)?.sold ?? 'empty',
      ledger: counts.get(one.id)!.ledger,
      run: log.run,
    },
  }));
  await appendAudit(client, trail, { ...config.audit, action: config.audit.rebuilt }, entries);
  const rebuilt = new Set(rows.map(({ key }) => key));
  return {
    done,
    left: items
      .filter((one) => !rebuilt.has(one.id) && !locked.has(one.id))
      .map((one) => ({ unit: one.unit, why: whyLeft(counts.get(one.id)) })),
    later: items.filter((one) => locked.has(one.id)),
  };
}

function whyLeft(count: UnitCount | undefined): string {
  if (count === undefined) return 'it is gone';
  return count.disputed ?? 'its counter is what the ledger adds up to by now';
}
