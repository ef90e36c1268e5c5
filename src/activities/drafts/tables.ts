import type { Client } from 'pg';
import { readTables, type MappedTable } from '../postgres/repair/mapping';
import type { DraftsConfig } from './settings';

export type DraftTables = Awaited<ReturnType<typeof readDraftTables>>;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readDraftTables(client: Client, service: string, { tables }: DraftsConfig) {
  return readTables(client, `services.${service}.drafts.tables`, tables, {
    attempts: { indexed: ['draft'] },
  });
}

export function changedTables({ drafts, attempts }: DraftTables): MappedTable[] {
  return [drafts, attempts];
}

export function writtenTables({ drafts, attempts, audit }: DraftTables): string[] {
  return [drafts.name, attempts.name, ...(audit === undefined ? [] : [audit.name])];
}
