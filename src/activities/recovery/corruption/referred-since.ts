import type { Client } from 'pg';
import type { LogEntry } from '../../postgres/repair/change-log';
import type { MappedTable } from '../../postgres/repair/mapping';
import { readForeignKeys, type KeyedTable } from './catalogue';

/**
 * Rows of `table` that were brought in, by their keys, which others have referred to since, and who. Nothing else would keep
 * them: their triggers are passed. What referred to them before they came back is as broken without them as it was. To be
 * read with their rows locked, as who may read every table.
 */
export async function referredSince(
  client: Client,
  { run, step }: LogEntry,
  tables: KeyedTable[],
  { name, columns: { id } }: MappedTable,
  keys: string[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { child, parent, columns, refers } of await readForeignKeys(client)) {
    if (parent !== name) continue;
    const match = columns.map((column, at) => `c.${column} = p.${refers[at]!}`).join(' AND ');
    const own = tables.find((one) => one.name === child)?.columns.id.name;
    // What this run has brought, and nobody has changed since, goes as well.
    const ours =
      own === undefined
        ? ''
        : `AND NOT EXISTS (SELECT FROM durable_runbooks.change_log o WHERE o.run = l.run AND o.step = l.step
             AND o.relation = $5 AND o.key = c.${own}::text AND age(c.xmin) >= age(o.xmin))`;
    const { rows } = await client.query<{ key: string }>(
      `SELECT DISTINCT l.key FROM durable_runbooks.change_log l JOIN ${name} p ON p.${id.name} = l.key::${id.type}
         JOIN ${child} c ON ${match}
        WHERE l.run = $1 AND l.step = $2 AND l.relation = $4 AND l.key = ANY($3) AND l.before = 'null'
          AND l.undone_at IS NULL AND age(c.xmin) < age(l.xmin) ${ours}`,
      [run, step, keys, name, ...(own === undefined ? [] : [child])],
    );
    for (const { key } of rows) found.set(key, child);
  }
  return found;
}
