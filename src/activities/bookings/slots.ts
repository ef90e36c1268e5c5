import type { Client } from 'pg';
import { changeRows, withImages, type LogEntry, type RowOfUnit } from '../postgres/repair/change-log';
import { lockRows, type Locked } from '../postgres/repair/lock-rows';
import { keysParameter, valueParameter } from '../postgres/repair/mapping';
import type { BookingsConfig } from './settings';
import type { BookingTables } from './tables';

/**
 * Locks slots that nobody else has locked. A booking comes before its slot, in the order in which an application takes them;
 * a booking of the slot that somebody is adding right now holds its key.
 */
export async function lockSlots(client: Client, { slots }: BookingTables, keys: string[]): Promise<Locked> {
  if (slots === undefined) return { got: new Map(), locked: new Set() };
  return lockRows(client, slots, { keys, strength: 'UPDATE' });
}

/** Bookings to be ended, with what is locked beside them. */
export interface Ending {
  ended: RowOfUnit[];
  /** Bookings that stay. */
  kept: RowOfUnit[];
  slots: RowOfUnit[];
  state: string;
}

/**
 * Gives bookings their last state and puts right what they leave: slots without another living booking are open again, one
 * that is open under a confirmed booking is reserved again, and links are void. Bookings and slots must be locked; slots of
 * other states, e.g. blocked, stay. Returns how many ended.
 */
export async function endBookings(
  client: Client,
  log: LogEntry,
  tables: BookingTables,
  { states }: BookingsConfig,
  { ended, kept, slots, state }: Ending,
): Promise<number> {
  const { bookings } = tables;
  const links = await lockLinks(client, tables, ended);
  const locked = [
    { table: bookings, rows: [...kept, ...ended] },
    { table: tables.slots, rows: slots },
    { table: tables.links, rows: links },
  ];
  return withImages(client, log, locked, async () => {
    const { status } = bookings.columns;
    const set = `${status.name} = ${valueParameter(2, status)}`;
    const done = await changeRows(client, bookings, ended, set, [state]);
    await setSlots(client, tables, slots, states);
    if (tables.links !== undefined)
      await changeRows(client, tables.links, links, `${tables.links.columns.usedAt.name} = now()`, []);
    return done;
  });
}

async function setSlots(
  client: Client,
  { bookings, slots: table }: BookingTables,
  slots: RowOfUnit[],
  { held, confirmed, open, reserved }: BookingsConfig['states'],
): Promise<void> {
  if (table === undefined || slots.length === 0) return;
  const { id, status } = table.columns;
  const booking = bookings.columns;
  const keys = slots.map(({ key }) => key);
  // Asked once for all: of an EXISTS for each slot the planner may make a scan of every booking.
  const { rows } = await client.query<{ key: string; becomes: 'open' | 'reserved' | null }>(
    `WITH living AS (
       SELECT b.${booking.slot.name} AS slot, bool_or(b.${booking.status.name} = ANY(${keysParameter(5, booking.status)})) AS confirmed
         FROM ${bookings.name} b
        WHERE b.${booking.slot.name} = ANY(${keysParameter(6, booking.slot)}) AND b.${booking.status.name} = ANY(${keysParameter(4, booking.status)})
        GROUP BY b.${booking.slot.name})
     SELECT s.${id.name}::text AS key,
            CASE WHEN s.${status.name} = ${valueParameter(2, status)} AND l.slot IS NULL THEN 'open'
                 WHEN s.${status.name} = ${valueParameter(3, status)} AND l.confirmed THEN 'reserved' END AS becomes
       FROM ${table.name} s LEFT JOIN living l ON l.slot = s.${id.name} WHERE s.${id.name} = ANY(${keysParameter(1, id)})`,
    [keys, reserved, open, [held, confirmed], [confirmed], keys],
  );
  const becomes = new Map(rows.map((row) => [row.key, row.becomes]));
  const set = `${status.name} = ${valueParameter(2, status)}`;
  for (const [state, value] of [
    ['open', open],
    ['reserved', reserved],
  ]) {
    const chosen = slots.filter(({ key }) => becomes.get(key) === state);
    await changeRows(client, table, chosen, set, [value]);
  }
}

/** Links that are still good. */
async function lockLinks(client: Client, { links }: BookingTables, ended: RowOfUnit[]): Promise<RowOfUnit[]> {
  if (links === undefined || ended.length === 0) return [];
  const { id, booking, usedAt } = links.columns;
  const { rows } = await client.query<{ key: string; booking: string }>(
    `SELECT l.${id.name}::text AS key, l.${booking.name}::text AS booking FROM ${links.name} l
      WHERE l.${booking.name} = ANY(${keysParameter(1, booking)}) AND l.${usedAt.name} IS NULL
      ORDER BY l.${id.name} FOR NO KEY UPDATE`,
    [ended.map(({ key }) => key)],
  );
  const unitOf = new Map(ended.map(({ key, unit }) => [key, unit]));
  return rows.map((row) => ({ key: row.key, unit: unitOf.get(row.booking)! }));
}
