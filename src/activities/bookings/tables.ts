import type { Client } from 'pg';
import { readTables, valueParameter, type MappedTable } from '../postgres/repair/mapping';
import { fail } from '../support/failure';
import type { BookingsConfig } from './settings';

export type BookingTables = Awaited<ReturnType<typeof readBookingTables>>;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readBookingTables(client: Client, service: string, { tables }: BookingsConfig) {
  const path = `services.${service}.bookings.tables`;
  return readTables(client, path, tables, {
    bookings: { indexed: ['slot'] },
    links: { indexed: ['booking'] },
  });
}

/** Those whose rows are changed; audit rows are only added. */
export function changedTables({ bookings, slots, links }: BookingTables): MappedTable[] {
  return [bookings, slots, links].filter((table) => table !== undefined);
}

export function writtenTables(tables: BookingTables): string[] {
  return [...changedTables(tables), ...(tables.audit === undefined ? [] : [tables.audit])].map(
    ({ name }) => name,
  );
}

/** A booking that ended, or came back, for the audit trail. */
export interface AuditEntry {
  booking: string;
  details: Record<string, string>;
}

/** Adds rows to the audit trail, in the transaction of what they tell; nothing where none is configured. */
export async function writeAudit(
  client: Client,
  { audit: table }: BookingTables,
  { audit }: BookingsConfig,
  action: string,
  entries: AuditEntry[],
): Promise<void> {
  if (table === undefined || entries.length === 0) return;
  const { entity, action: actionColumn, entityType, source, details } = table.columns;
  const values = [
    { column: entity, sql: `e.booking::${entity.type}` },
    { column: actionColumn, sql: valueParameter(3, actionColumn) },
    ...(entityType === undefined ? [] : [{ column: entityType, sql: valueParameter(4, entityType) }]),
    ...(source === undefined ? [] : [{ column: source, sql: valueParameter(5, source) }]),
    ...(details === undefined ? [] : [{ column: details, sql: `e.details::${details.type}` }]),
  ];
  // A policy may only refuse the row, never hide one.
  await client.query(`SELECT set_config('row_security', 'on', true)`);
  await client.query(
    `WITH given(action, kind, source) AS (SELECT $3::text, $4::text, $5::text)
     INSERT INTO ${table.name} (${values.map(({ column }) => column.name).join(', ')})
     SELECT ${values.map(({ sql }) => sql).join(', ')} FROM unnest($1::text[], $2::text[]) AS e(booking, details)`,
    [
      entries.map(({ booking }) => booking),
      entries.map((entry) => JSON.stringify(entry.details)),
      action,
      audit.entityType,
      audit.source,
    ],
  );
}

/** Columns that only one of the runbooks needs. */
export function need<T>(column: T | undefined, service: string, name: string): T {
  if (column !== undefined) return column;
  throw fail(
    'InvalidInput',
    `services.${service}.bookings.tables.bookings.columns.${name} is missing in runbooks.yaml. Add it, then start again.`,
  );
}
