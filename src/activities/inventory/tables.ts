import type { Client } from 'pg';
import { keysParameter, readTables, type MappedTable } from '../postgres/repair/mapping';
import type { InventoryConfig } from './settings';

export type InventoryTables = Awaited<ReturnType<typeof readInventoryTables>>;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readInventoryTables(client: Client, service: string, { tables }: InventoryConfig) {
  return readTables(client, `services.${service}.inventory.tables`, tables, {
    ledger: { indexed: ['unit'] },
    bookings: { indexed: ['unit'] },
  });
}

/** Ledger and bookings are only read; audit rows are only added. */
export function changedTables({ units }: InventoryTables): MappedTable[] {
  return [units];
}

export function writtenTables({ units, audit }: InventoryTables): string[] {
  return [units.name, ...(audit === undefined ? [] : [audit.name])];
}

/** Of one unit: what its counter says, its ledger, and its bookings that count. Numbers as texts. */
export interface UnitCount {
  id: string;
  /** Null where the counter is empty. */
  sold: string | null;
  /** Null where nobody has said how much there is. */
  capacity: string | null;
  ledger: string;
  /** Null where no bookings are configured. */
  booked: string | null;
  /** Why its counter cannot be rebuilt from the ledger; null where it can. */
  disputed: string | null;
  /** Its counter is not what the ledger adds up to. */
  differs: boolean;
  /** More is sold than there is, by the ledger where that is not disputed. */
  over: boolean;
}

/**
 * `counts`: a row for each unit, all of one snapshot; $1 is the list of states that count, and $2, where only `some` are
 * meant, that of their keys. A ledger that says nothing of a unit, or less than nothing, or something else than the bookings,
 * is none that a counter could be rebuilt from: what was sold already would be sold again.
 */
export function countsOf({ units, ledger, bookings }: InventoryTables, some: boolean): string {
  const { id, sold, capacity } = units.columns;
  const { unit, quantity } = ledger.columns;
  const only = (alias: string, column: { name: string; type: string }) =>
    some ? `AND ${alias}.${column.name} = ANY(${keysParameter(2, column)})` : '';
  const counted = bookings?.columns;
  const taken =
    counted?.quantity === undefined ? 'count(*)::numeric' : `sum(b.${counted.quantity.name}::numeric)`;
  const booked =
    bookings === undefined || counted === undefined
      ? `SELECT NULL::${id.type} AS unit, NULL::numeric AS total WHERE $1::text[] IS NULL`
      : `SELECT b.${counted.unit.name} AS unit, ${taken} AS total FROM ${bookings.name} b
          WHERE b.${counted.status.name}::text = ANY($1::text[]) ${only('b', counted.unit)} GROUP BY 1`;
  return `
    WITH entries AS (
      SELECT l.${unit.name} AS unit, coalesce(sum(l.${quantity.name}::numeric), 0) AS total,
             bool_or(l.${quantity.name} IS NULL OR l.${quantity.name}::numeric = 'NaN') AS unreadable
        FROM ${ledger.name} l WHERE true ${only('l', unit)} GROUP BY 1),
    booked AS (${booked}),
    seen AS (
      SELECT u.${id.name} AS key, u.${sold.name}::numeric AS sold, u.${capacity.name}::numeric AS capacity, e.unit IS NOT NULL AS known,
             coalesce(e.unreadable, false) AS unreadable, coalesce(e.total, 0) AS ledger,
             ${bookings === undefined ? 'NULL::numeric' : 'coalesce(b.total, 0)'} AS booked
        FROM ${units.name} u LEFT JOIN entries e ON e.unit = u.${id.name} LEFT JOIN booked b ON b.unit = u.${id.name}
       WHERE true ${only('u', id)}),
    judged AS (
      SELECT *, sold IS DISTINCT FROM ledger AS differs, CASE
          WHEN unreadable THEN 'an entry of its ledger has no number'
          WHEN ledger < 0 THEN 'its ledger adds up to less than nothing'
          WHEN NOT known AND sold IS DISTINCT FROM 0 THEN 'the ledger has no entry of it'
          WHEN booked <> ledger THEN 'its ledger and its bookings say different things' END AS disputed
        FROM seen),
    counts AS (
      SELECT key, sold, capacity, ledger, booked, disputed, differs,
             coalesce(CASE WHEN disputed IS NULL THEN ledger ELSE greatest(sold, ledger, booked) END > capacity, false) AS over
        FROM judged)`;
}

export const COUNT_COLUMNS = `key::text AS id, trim_scale(sold)::text AS sold, trim_scale(capacity)::text AS capacity,
  trim_scale(ledger)::text AS ledger, trim_scale(booked)::text AS booked, disputed, differs, over`;
