import type { ClientBase } from 'pg';
import { keysParameter, type MappedTable } from './mapping';

export interface Locking {
  keys: string[];
  /** `UPDATE` also keeps those out who add a row that refers to it. */
  strength: 'UPDATE' | 'NO KEY UPDATE';
  /** Which of them are wanted: SQL over the alias `t`; its parameters begin with $2. */
  where?: string;
  parameters?: unknown[];
}

export interface Locked {
  /** Versions of the rows that are locked now, by key. */
  got: Map<string, string>;
  /** There, and somebody else has them. */
  locked: Set<string>;
}

/** Locks rows that nobody else has locked, in the order of their keys, and waits for none. */
export async function lockRows(
  client: ClientBase,
  { name, columns: { id } }: MappedTable,
  { keys, strength, where = 'true', parameters = [] }: Locking,
): Promise<Locked> {
  if (keys.length === 0) return { got: new Map(), locked: new Set() };
  const select = `SELECT t.${id.name}::text AS key, t.xmin::text AS version FROM ${name} t
                   WHERE t.${id.name} = ANY(${keysParameter(1, id)}) AND ${where}`;
  const ask = async (some: string[], how: string) =>
    (await client.query<{ key: string; version: string }>(`${select} ${how}`, [some, ...parameters])).rows;
  const rows = await ask(keys, `ORDER BY t.${id.name} FOR ${strength} SKIP LOCKED`);
  const got = new Map(rows.map(({ key, version }) => [key, version]));
  const missing = keys.filter((key) => !got.has(key));
  const there = missing.length === 0 ? [] : await ask(missing, '');
  return { got, locked: new Set(there.map(({ key }) => key)) };
}
