import type { Client } from 'pg';
import type { Comparison, DamagedRow, TableComparison } from '../../../contract/corruption';
import { keysParameter } from '../../postgres/repair/mapping';
import type { CorruptionConfig } from '../settings';
import { readCatalogue, type KeyedTable } from './catalogue';
import { readRules, violatingKeys, type Rule } from './violations';

const PAGE = 5_000;

/** Texts of rows that are to be compared must not depend on the session. */
export const SAME_TEXTS = `SELECT set_config('timezone', 'UTC', false), set_config('intervalstyle', 'postgres', false),
  set_config('bytea_output', 'hex', false), set_config('extra_float_digits', '1', false)`;

type Compared = Pick<Comparison, 'rows' | 'tables' | 'left' | 'tooMany'>;

/** What is missing in the live database, and what breaks a rule in it and is otherwise in the copy. */
export async function compare(
  live: Client,
  copy: Client,
  config: CorruptionConfig,
  report: (done: number, total: number) => void,
): Promise<Compared> {
  for (const client of [live, copy]) await client.query(SAME_TEXTS);
  const [here, there] = [await readCatalogue(live), await readCatalogue(copy)];
  const { tables, left } = comparable(here.keyed, there, config);
  const missing = new Map<string, Set<string>>();
  let count = 0;
  for (const [index, table] of tables.entries()) {
    report(index, tables.length);
    const keys = await missingKeys(live, copy, table, config.maxRows - count);
    missing.set(table.name, keys);
    count += keys.size;
    if (count > config.maxRows) return { rows: [], tables: [], left, tooMany: true };
  }
  const wrong = await wrongRows(live, copy, { tables, missing, config });
  left.push(...wrong.left);
  count += wrong.rows.length;
  if (count > config.maxRows) return { rows: [], tables: [], left, tooMany: true };
  const gone = [...missing].flatMap(([table, keys]) =>
    [...keys].map((key): DamagedRow => ({ table, key, seen: null })),
  );
  const summary: TableComparison[] = [];
  for (const table of tables) {
    const lost = missing.get(table.name)!.size;
    const spoiled = wrong.rows.filter((row) => row.table === table.name).length;
    if (lost + spoiled === 0) continue;
    const newer = (await rowsOf(live, table)) - ((await rowsOf(copy, table)) - lost);
    summary.push({ table: table.name, missing: lost, wrong: spoiled, newer: Math.max(0, newer) });
  }
  return { rows: [...gone, ...wrong.rows], tables: summary, left, tooMany: false };
}

function comparable(
  here: KeyedTable[],
  there: Awaited<ReturnType<typeof readCatalogue>>,
  { leaveOut }: CorruptionConfig,
): { tables: KeyedTable[]; left: Comparison['left'] } {
  const live = new Map(here.map((table) => [table.name, table]));
  const left = there.unkeyed.map(({ name, why }) => ({ table: name, why }));
  const tables = there.keyed.filter((table) => {
    const is = live.get(table.name);
    const why = leaveOut.includes(`${table.schema}.${table.table}`)
      ? 'the configuration leaves it out'
      : is === undefined
        ? 'it is not in the live database, or has another primary key there: restoreDatabase brings a table back'
        : is.shape !== table.shape
          ? 'its columns were changed since the backup'
          : undefined;
    if (why !== undefined) left.push({ table: table.name, why });
    return why === undefined;
  });
  return { tables, left };
}

/** Page by page in the order of the key; one more than `most` is enough to know that there are too many. */
async function missingKeys(
  live: Client,
  copy: Client,
  table: KeyedTable,
  most: number,
): Promise<Set<string>> {
  const { name, columns } = table;
  const { id } = columns;
  const missing = new Set<string>();
  for (let after: string | null = null; missing.size <= most;) {
    const { rows } = await copy.query<{ key: string }>(
      `SELECT t.${id.name}::text AS key FROM ${name} t WHERE $1::text IS NULL OR t.${id.name} > $1::text::${id.type}
        ORDER BY t.${id.name} LIMIT ${PAGE}`,
      [after],
    );
    const keys: string[] = rows.map(({ key }) => key);
    if (keys.length === 0) break;
    const gone = await live.query<{ key: string }>(
      `SELECT w.key::text AS key FROM unnest(${keysParameter(1, id)}) AS w(key)
        WHERE NOT EXISTS (SELECT FROM ${name} t WHERE t.${id.name} = w.key)`,
      [keys],
    );
    for (const { key } of gone.rows) missing.add(key);
    after = keys.at(-1)!;
  }
  return missing;
}

interface Known {
  tables: KeyedTable[];
  missing: Map<string, Set<string>>;
  config: CorruptionConfig;
}

/** Those alone that break a rule: what else differs from the backup, somebody has changed on purpose. */
async function wrongRows(
  live: Client,
  copy: Client,
  { tables, missing, config }: Known,
): Promise<{ rows: DamagedRow[]; left: Comparison['left'] }> {
  const byName = new Map(tables.map((table) => [table.name, table]));
  const suspects = new Map<string, Set<string>>();
  const left: Comparison['left'] = [];
  for (const rule of await readRules(live, config)) {
    const table = byName.get(rule.table);
    if (table === undefined) continue;
    const broken = await violatingKeys(live, rule, table, config.maxRows + 1);
    const keys = broken.filter(({ refers }) => !comesBack(rule, refers, missing)).map(({ key }) => key);
    const sofar = suspects.get(table.name) ?? new Set<string>();
    for (const key of keys) sofar.add(key);
    suspects.set(table.name, sofar);
  }
  const rows: DamagedRow[] = [];
  for (const [name, keys] of suspects) {
    const table = byName.get(name)!;
    const [now, before] = [await imagesOf(live, table, [...keys]), await imagesOf(copy, table, [...keys])];
    const mendable = [...now].filter(([key, seen]) => before.has(key) && before.get(key) !== seen);
    rows.push(...mendable.map(([key, seen]) => ({ table: name, key, seen })));
    const unmended = keys.size - mendable.length;
    if (unmended > 0)
      left.push({
        table: name,
        why: `${unmended} rows break a rule, and the backup does not have them otherwise`,
      });
  }
  return { rows, left };
}

/** What a row refers to is brought back, so the row itself is well. */
function comesBack({ foreign }: Rule, refers: string | null, missing: Known['missing']): boolean {
  return foreign !== undefined && refers !== null && missing.get(foreign.parent)?.has(refers) === true;
}

/** One text for each row, which says whether two are the same. */
export async function imagesOf(
  client: Client,
  table: KeyedTable,
  keys: string[],
): Promise<Map<string, string>> {
  const { name, columns } = table;
  const { rows } = await client.query<{ key: string; image: string }>(
    `SELECT t.${columns.id.name}::text AS key, md5(to_jsonb(t)::text) AS image FROM ${name} t
      WHERE t.${columns.id.name} = ANY(${keysParameter(1, columns.id)})`,
    [keys],
  );
  return new Map(rows.map(({ key, image }) => [key, image]));
}

async function rowsOf(client: Client, { name }: KeyedTable): Promise<number> {
  return Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${name}`)).rows[0]!.n);
}
