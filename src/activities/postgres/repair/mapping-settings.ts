import { z } from 'zod';

export const identifier = z.string().min(1).max(63);
export const column = (name: string) => identifier.default(name);

/** A table and its columns by what they mean here; names as they stand in the catalogue, unquoted. */
export const tableOf = <Shape extends z.ZodRawShape>(table: string, columns: Shape) =>
  z.strictObject({
    schema: identifier.default('public'),
    table: identifier.default(table),
    columns: z.strictObject({ id: column('id'), ...columns }).prefault({} as never),
  });

export const auditTable = tableOf('audit_logs', {
  entityType: identifier.optional(),
  entity: column('entity_id'),
  action: column('action'),
  source: identifier.optional(),
  details: identifier.optional().describe('of type json or jsonb'),
}).describe('where what was done is written down; rows are only added');

/** What an application calls one of its states. */
export const state = (name: string) => z.string().min(1).default(name);
