import type { ClientBase } from 'pg';
import { valueParameter, type MappedTable } from './mapping';

/** Where an application writes down what was done; rows are only added. */
export type AuditTable = MappedTable<{
  id: string;
  entity: string;
  action: string;
  entityType?: string | undefined;
  source?: string | undefined;
  details?: string | undefined;
}>;

/** Something that was done to a row, for the audit trail. */
export interface AuditRow {
  /** Key of the row. */
  entity: string;
  details: Record<string, string>;
}

/** What the audit trail calls what was done. */
export interface AuditWords {
  action: string;
  entityType: string;
  source: string;
}

/** Adds rows to the audit trail, in the transaction of what they tell; nothing where none is configured. */
export async function appendAudit(
  client: ClientBase,
  table: AuditTable | undefined,
  { action, entityType: kind, source: by }: AuditWords,
  rows: AuditRow[],
): Promise<void> {
  if (table === undefined || rows.length === 0) return;
  const { entity, action: actionColumn, entityType, source, details } = table.columns;
  const values = [
    { column: entity, sql: `e.entity::${entity.type}` },
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
     SELECT ${values.map(({ sql }) => sql).join(', ')} FROM unnest($1::text[], $2::text[]) AS e(entity, details)`,
    [rows.map((row) => row.entity), rows.map((row) => JSON.stringify(row.details)), action, kind, by],
  );
}
