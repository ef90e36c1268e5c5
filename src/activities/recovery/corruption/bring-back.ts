import type { Client } from 'pg';
import type { DamagedRow } from '../../../contract/corruption';
import type { BatchResult } from '../../postgres/repair/batches';
import { logInserted, withImages, type LogEntry } from '../../postgres/repair/change-log';
import { lockRows } from '../../postgres/repair/lock-rows';
import { keysParameter } from '../../postgres/repair/mapping';
import type { KeyedTable } from './catalogue';
import { imagesOf } from './compare';

/** A row of the plan, as the change log knows it. */
export type Item = DamagedRow & { unit: string };

/** As texts: what is a number there may be more than one here. */
export async function readImages(
  there: Client,
  { name, columns: { id } }: KeyedTable,
  items: Item[],
): Promise<Map<string, string>> {
  const { rows } = await there.query<{ key: string; image: string }>(
    `SELECT t.${id.name}::text AS key, to_jsonb(t)::text AS image FROM ${name} t WHERE t.${id.name} = ANY(${keysParameter(1, id)})`,
    [items.map(({ key }) => key)],
  );
  return new Map(rows.map(({ key, image }) => [key, image]));
}

const listOf = (items: Item[], images: Map<string, string>): string =>
  `[${items.map(({ key }) => images.get(key) ?? 'null').join(',')}]`;

/** What is missing; never over what is there by now. */
export async function bringIn(
  client: Client,
  log: LogEntry,
  table: KeyedTable,
  items: Item[],
  images: Map<string, string>,
): Promise<BatchResult<Item>> {
  if (items.length === 0) return { done: 0, left: [], later: [] };
  const columns = table.writable.join(', ');
  const { rows } = await client.query<{ key: string }>(
    `INSERT INTO ${table.name} (${columns}) OVERRIDING SYSTEM VALUE
     SELECT ${columns} FROM jsonb_populate_recordset(NULL::${table.name}, $1::jsonb)
     ON CONFLICT DO NOTHING RETURNING ${table.columns.id.name}::text AS key`,
    [listOf(items, images)],
  );
  const came = new Set(rows.map(({ key }) => key));
  const mine = items.filter(({ key }) => came.has(key));
  await logInserted(client, log, table, mine);
  return {
    done: mine.length,
    left: items
      .filter(({ key }) => !came.has(key))
      .map(({ unit }) => ({
        unit,
        why: 'a row with that key, or with a value that only one may have, is there by now',
      })),
    later: [],
  };
}

/** What was spoiled, where it is still as it was seen. */
export async function putRight(
  client: Client,
  log: LogEntry,
  table: KeyedTable,
  items: Item[],
  images: Map<string, string>,
): Promise<BatchResult<Item>> {
  if (items.length === 0) return { done: 0, left: [], later: [] };
  const { got, locked } = await lockRows(client, table, {
    keys: items.map(({ key }) => key),
    strength: 'UPDATE',
  });
  const now = await imagesOf(client, table, [...got.keys()]);
  const mine = items.filter(({ key, seen }) => now.get(key) === seen);
  const { id } = table.columns;
  const others = table.writable.filter((column) => column !== id.name);
  const done = await withImages(client, log, [{ table, rows: mine }], async () => {
    if (mine.length === 0) return 0;
    const { rowCount } = await client.query(
      `UPDATE ${table.name} t SET ${others.map((column) => `${column} = was.${column}`).join(', ')}
         FROM jsonb_populate_recordset(NULL::${table.name}, $1::jsonb) was WHERE t.${id.name} = was.${id.name}`,
      [listOf(mine, images)],
    );
    return rowCount ?? 0;
  });
  const rest = items.filter((item) => !mine.includes(item));
  return {
    done,
    left: rest
      .filter(({ key }) => !locked.has(key))
      .map(({ unit }) => ({ unit, why: 'somebody has changed it since the plan was made' })),
    later: rest.filter(({ key }) => locked.has(key)),
  };
}
