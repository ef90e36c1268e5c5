import type { Client } from 'pg';
import { CANCEL_STEP } from '../../contract/bookings';
import type { Place } from '../../contract/place';
import { serviceOf } from '../../config/load';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../postgres/repair/batches';
import { changedBefore, type LogEntry } from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { instantText, valueParameter } from '../postgres/repair/mapping';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { lookAtBookings, type Looked } from './look';
import { bookingsOf, type BookingsConfig } from './settings';
import { endBookings, lockSlots } from './slots';
import { readBookingTables, writeAudit, type BookingTables } from './tables';
import type { State } from './unconfigured';
import { findUniqueIndex, type UniqueIndex } from './unique-index';

/** A confirmed booking, as it was when somebody looked. */
export interface SoldBooking {
  id: string;
  /** Of the row: another one when anybody has changed it since. */
  version: string;
  /** ISO times; null where the application does not say. */
  confirmedAt: string | null;
  createdAt: string | null;
  customer: string | null;
}

/** Bookings of one slot, the first confirmed one first. */
export interface Conflict {
  slot: string;
  bookings: SoldBooking[];
}

export interface DoubleBookingFacts extends Looked {
  conflicts: Conflict[];
  index: UniqueIndex;
  keep: BookingsConfig['keep'];
  createIndex: boolean;
  maxDestructive: number;
}

/** Which booking of a slot stays, and which are cancelled. */
export interface Resolution {
  slot: string;
  keep: SoldBooking;
  cancel: SoldBooking[];
}

export interface CancelInput extends RepairInput {
  resolutions: Resolution[];
}

const STATES: State[] = ['held', 'confirmed', 'cancelled', 'open', 'reserved'];

/** Slots that are sold more than once, and an end to it. */
export function createDoubleBookingActivities(deps: ActivityDeps) {
  return {
    /**
     * Every slot with more than one confirmed booking, with these. Reads only. Throws MappingInvalid, RepairRoleInvalid,
     * TooManyTargets, WrongDatabase, DatabaseUnreachable.
     */
    async findDoubleBookings(place: Place): Promise<DoubleBookingFacts> {
      const { maxDestructive } = serviceOf(deps.config, place.service);
      const looking = { action: 'look for double bookings', states: STATES };
      return lookAtBookings(deps, place, looking, async (client, tables, config) => ({
        conflicts: await readConflicts(client, tables, config, maxDestructive),
        index: await findUniqueIndex(client, tables, config),
        keep: config.keep,
        createIndex: config.createIndex,
        unconfigured:
          tables.bookings.columns.confirmedAt === undefined
            ? [
                'which booking of a slot was first is told by when it was created: no column confirmedAt is configured',
              ]
            : [],
        maxDestructive,
      }));
    },

    /**
     * Cancels exactly the named bookings, voids their links, puts their slots right and writes it down, in one
     * transaction for each batch of slots. A slot of which any booking was changed since it was looked at is left alone.
     * Safe to retry: what the change log has of this run is done. Throws EmptySelection, TooManyTargets, StaleFencingToken,
     * FenceBusy, MappingInvalid.
     */
    async cancelDoubleBookings(input: CancelInput): Promise<Repaired> {
      const config = bookingsOf(deps, input.service);
      checkSelection(input, serviceOf(deps.config, input.service).maxDestructive);
      const log = { run: input.run, step: CANCEL_STEP };
      let tables: BookingTables;
      return inBatches(
        deps,
        input,
        {
          role: config.role,
          batchRows: config.batchRows,
          action: 'cancel double bookings',
          step: CANCEL_STEP,
        },
        async (client) => {
          tables = await readBookingTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.bookings);
          const items = input.resolutions
            .filter(({ cancel }) => !cancel.every(({ id }) => before.has(id)))
            .map((one) => ({ ...one, unit: `slot ${one.slot}` }));
          const weigh = ({ cancel }: Resolution) => cancel.length + 1;
          return { items, weigh, doneBefore: before.size };
        },
        (client, items) => cancelBatch(client, log, tables, config, items),
      );
    },
  };
}

function checkSelection({ service, environment, resolutions }: CancelInput, maxDestructive: number): void {
  const where = `${service}/${environment}`;
  const count = resolutions.reduce((sum, { cancel }) => sum + cancel.length, 0);
  if (count === 0)
    throw fail(
      'EmptySelection',
      `No booking of ${where} was named, and that never means all. Nothing was changed.`,
    );
  if (count > maxDestructive) throw tooMany(where, count, maxDestructive);
}

function tooMany(where: string, count: number, maxDestructive: number): Error {
  return fail(
    'TooManyTargets',
    `At least ${count} bookings of ${where} would be cancelled, more than maxDestructive allows (${maxDestructive}). Nothing was changed: find out what confirms them before any is cancelled.`,
  );
}

/** The seed of every check: `GROUP BY slot_id HAVING count(*) > 1`. A booking without a slot conflicts with none. */
async function readConflicts(
  client: Client,
  { bookings: { name, columns } }: BookingTables,
  { states }: BookingsConfig,
  maxDestructive: number,
): Promise<Conflict[]> {
  const { id, slot, status, createdAt, confirmedAt, customer } = columns;
  const confirmed = `b.${status.name} = ${valueParameter(1, status)}`;
  const first = confirmedAt === undefined ? '' : `b.${confirmedAt.name} NULLS LAST, `;
  const { rows } = await client.query<SoldBooking & { slot: string }>(
    `WITH sold AS (SELECT b.${slot.name} AS slot FROM ${name} b WHERE ${confirmed} AND b.${slot.name} IS NOT NULL
                    GROUP BY b.${slot.name} HAVING count(*) > 1 ORDER BY b.${slot.name} LIMIT $2)
     SELECT b.${slot.name}::text AS slot, b.${id.name}::text AS id, b.xmin::text AS version,
            ${confirmedAt === undefined ? 'NULL' : instantText(confirmedAt, 'b')} AS "confirmedAt",
            ${instantText(createdAt, 'b')} AS "createdAt", ${customer === undefined ? 'NULL' : `b.${customer.name}::text`} AS customer
       FROM ${name} b WHERE ${confirmed} AND b.${slot.name} = ANY(ARRAY(SELECT slot FROM sold))
      ORDER BY b.${slot.name}, ${first}b.${createdAt.name} NULLS LAST, b.${id.name}`,
    [states.confirmed, maxDestructive + 1],
  );
  const bySlot = new Map<string, SoldBooking[]>();
  for (const { slot: key, ...booking } of rows) bySlot.set(key, [...(bySlot.get(key) ?? []), booking]);
  const count = rows.length - bySlot.size;
  if (count > maxDestructive) throw tooMany(name, count, maxDestructive);
  return [...bySlot].map(([key, bookings]) => ({ slot: key, bookings }));
}

async function cancelBatch(
  client: Client,
  log: LogEntry,
  tables: BookingTables,
  config: BookingsConfig,
  items: (Resolution & { unit: string })[],
): Promise<BatchResult<Resolution & { unit: string }>> {
  const found = await lockRows(client, tables.bookings, {
    keys: items.flatMap(({ keep, cancel }) => [keep.id, ...cancel.map(({ id }) => id)]),
    strength: 'NO KEY UPDATE',
  });
  const slots = await lockSlots(
    client,
    tables,
    items.map(({ slot }) => slot),
  );
  const result: BatchResult<Resolution & { unit: string }> = { done: 0, left: [], later: [] };
  const good: typeof items = [];
  for (const item of items) {
    const all = [item.keep, ...item.cancel];
    const changed = all.filter(({ id, version }) => found.got.get(id) !== version && !found.locked.has(id));
    if (changed.length > 0) result.left.push({ unit: item.unit, why: changedText(changed, found.got) });
    else if (all.some(({ id }) => found.locked.has(id)) || slots.locked.has(item.slot))
      result.later.push(item);
    else good.push(item);
  }
  result.done = await endBookings(client, log, tables, config, {
    ended: good.flatMap(({ cancel, unit }) => cancel.map(({ id }) => ({ key: id, unit }))),
    kept: good.map(({ keep, unit }) => ({ key: keep.id, unit })),
    slots: good.filter(({ slot }) => slots.got.has(slot)).map(({ slot, unit }) => ({ key: slot, unit })),
    state: config.states.cancelled,
  });
  await writeAudit(
    client,
    tables,
    config,
    config.audit.cancelled,
    good.flatMap(({ slot, keep, cancel }) =>
      cancel.map(({ id }) => ({
        booking: id,
        details: { reason: 'double booking', slot, kept: keep.id, run: log.run },
      })),
    ),
  );
  return result;
}

function changedText(changed: SoldBooking[], versions: Map<string, string>): string {
  return changed
    .map(({ id }) => `booking ${id} ${versions.has(id) ? 'was changed' : 'is gone'} since it was looked at`)
    .join(', ');
}
