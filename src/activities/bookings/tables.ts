import type { Client } from 'pg';
import { appendAudit } from '../postgres/repair/audit-trail';
import { readTables, type MappedTable } from '../postgres/repair/mapping';
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
  const rows = entries.map(({ booking, details }) => ({ entity: booking, details }));
  await appendAudit(client, table, { ...audit, action }, rows);
}

/** Columns that only one of the runbooks needs. */
export function need<T>(column: T | undefined, service: string, name: string): T {
  if (column !== undefined) return column;
  throw fail(
    'InvalidInput',
    `services.${service}.bookings.tables.bookings.columns.${name} is missing in runbooks.yaml. Add it, then start again.`,
  );
}
