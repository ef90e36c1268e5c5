import { escapeIdentifier, type Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import {
  asOurselves,
  inBatches,
  passTriggersNoMore,
  type BatchResult,
  type Batching,
  type LeftAlone,
  type Repaired,
  type RepairInput,
} from './batches';
import type { LogEntry } from './change-log';
import { lockRows } from './lock-rows';
import type { MappedTable } from './mapping';

interface Unit {
  unit: string;
  rows: number;
}

interface LoggedRow {
  id: string;
  unit: string;
  relation: string;
  key: string;
}

export interface UndoOptions {
  /** Of the change log: what that step of the run did. */
  step: string;
  /** Every table that the step may have changed. */
  tables: (client: Client) => Promise<MappedTable[]>;
  /**
   * With these rows locked, and as our own role: keys of rows that must stay although they are as the step left them, and
   * why. By default none must.
   */
  mustStay?: (client: Client, table: MappedTable, keys: string[]) => Promise<Map<string, string>>;
  /** In the same transaction, for units that are as they were again. */
  afterwards: (client: Client, units: string[]) => Promise<void>;
}

/**
 * Puts back what a step of a run changed: each column as it was, in units that belong together. A row that is not as the
 * step left it was changed by somebody since: its unit is left alone, and the result says which and what. Without the
 * triggers of the application where our role may do that (see `canPassTriggers`), so that they neither refuse a state
 * that goes back nor touch a column of their own. Safe to repeat.
 */
export async function undoRows(
  deps: ActivityDeps,
  input: RepairInput,
  batching: Omit<Batching, 'step' | 'undoes'>,
  { step, tables, mustStay, afterwards }: UndoOptions,
): Promise<Repaired> {
  let known: Map<string, MappedTable>;
  return inBatches<Unit>(
    deps,
    input,
    { ...batching, step, undoes: true },
    async (client) => {
      known = new Map((await tables(client)).map((table) => [table.name, table]));
      const { rows } = await client.query<Unit & { undone: boolean }>(
        `SELECT unit, count(*)::int AS rows, bool_and(undone_at IS NOT NULL) AS undone
           FROM durable_runbooks.change_log WHERE run = $1 AND step = $2 GROUP BY unit ORDER BY min(id)`,
        [input.run, step],
      );
      const items = rows.filter(({ undone }) => !undone);
      return { items, weigh: (unit) => unit.rows, doneBefore: rows.length - items.length };
    },
    async (client, units) => {
      const stays = async (table: MappedTable, keys: string[]) =>
        mustStay === undefined
          ? new Map<string, string>()
          : asOurselves(client, batching.role, () => mustStay(client, table, keys));
      const result = await putBack(client, { run: input.run, step }, known, units, stays);
      // What is new has the triggers of the application: one that seals the audit trail, for instance.
      await passTriggersNoMore(client, batching);
      await afterwards(client, result.units);
      return result;
    },
  );
}

async function putBack(
  client: Client,
  { run, step }: LogEntry,
  known: Map<string, MappedTable>,
  units: Unit[],
  stays: (table: MappedTable, keys: string[]) => Promise<Map<string, string>>,
): Promise<BatchResult<Unit> & { units: string[] }> {
  const { rows: logged } = await client.query<LoggedRow>(
    `SELECT id::text, unit, relation, key FROM durable_runbooks.change_log
      WHERE run = $1 AND step = $2 AND unit = ANY($3) AND undone_at IS NULL ORDER BY id DESC`,
    [run, step, units.map(({ unit }) => unit)],
  );
  const spared = new Map<string, string>();
  const locked = new Set<string>();
  for (const [relation, rows] of byRelation(logged)) {
    const table = known.get(relation);
    if (table === undefined)
      for (const { unit } of rows) spared.set(unit, `${relation} is no longer in the configuration`);
    else {
      await lockUnchanged(client, table, rows, { spared, locked });
      const kept = await stays(
        table,
        rows.map(({ key }) => key),
      );
      for (const { key, unit } of rows) if (kept.has(key)) spared.set(unit, kept.get(key)!);
    }
  }
  const good = logged.filter(({ unit }) => !spared.has(unit) && !locked.has(unit));
  for (const [relation, rows] of byRelation(good)) await restore(client, known.get(relation)!, rows);
  await client.query(
    'UPDATE durable_runbooks.change_log SET undone_at = clock_timestamp() WHERE id = ANY($1::bigint[])',
    [good.map(({ id }) => id)],
  );
  const left: LeftAlone[] = [...spared].map(([unit, why]) => ({ unit, why }));
  const done = [...new Set(good.map(({ unit }) => unit))];
  const later = units.filter(({ unit }) => locked.has(unit) && !spared.has(unit));
  return { done: done.length, left, later, units: done };
}

function byRelation(rows: LoggedRow[]): Map<string, LoggedRow[]> {
  const grouped = new Map<string, LoggedRow[]>();
  for (const row of rows) grouped.set(row.relation, [...(grouped.get(row.relation) ?? []), row]);
  return grouped;
}

/** Locks the rows that are as they were left; says of the others what is different, and which are locked. */
async function lockUnchanged(
  client: Client,
  table: MappedTable,
  rows: LoggedRow[],
  { spared, locked }: { spared: Map<string, string>; locked: Set<string> },
): Promise<void> {
  const keys = rows.map(({ key }) => key);
  const found = await lockRows(client, table, { keys, strength: 'UPDATE' });
  const differing = await differencesOf(client, table, rows);
  for (const { id, key, unit } of rows) {
    const differs = differing.get(id) ?? [];
    if (found.locked.has(key)) locked.add(unit);
    else if (!found.got.has(key)) spared.set(unit, `${table.name} ${key} is gone`);
    else if (differs.length > 0)
      spared.set(unit, `${table.name} ${key} was changed since: ${differs.join(', ')}`);
  }
}

/** Columns that are not as they were left, by row of the change log. */
async function differencesOf(
  client: Client,
  { name, columns: { id } }: MappedTable,
  rows: LoggedRow[],
): Promise<Map<string, string[]>> {
  const found = await client.query<{ log: string; differs: string[] }>(
    `SELECT l.id::text AS log, ARRAY(SELECT now.key FROM jsonb_each(to_jsonb(t)) AS now
                                    WHERE now.value IS DISTINCT FROM l.after -> now.key ORDER BY 1) AS differs
       FROM durable_runbooks.change_log l JOIN ${name} t ON t.${id.name} = l.key::${id.type} WHERE l.id = ANY($1::bigint[])`,
    [rows.map((row) => row.id)],
  );
  return new Map(found.rows.map(({ log, differs }) => [log, differs]));
}

/** Only what was changed: everything else of the row is as it was. A row that was brought in goes. */
async function restore(
  client: Client,
  { name, columns: { id } }: MappedTable,
  rows: LoggedRow[],
): Promise<void> {
  const logs = rows.map((row) => row.id);
  await removeInserted(client, { name, id }, logs);
  const { rows: changed } = await client.query<{ column: string }>(
    `SELECT DISTINCT was.key AS column FROM durable_runbooks.change_log l, jsonb_each(nullif(l.before, 'null')) AS was
      WHERE l.id = ANY($1::bigint[]) AND l.before <> 'null' AND was.value IS DISTINCT FROM l.after -> was.key
        AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $2::regclass AND a.attname = was.key AND a.attgenerated = '')`,
    [logs, name],
  );
  if (changed.length === 0) return;
  const set = changed.map(({ column }) => `${escapeIdentifier(column)} = was.${escapeIdentifier(column)}`);
  await client.query(
    `UPDATE ${name} t SET ${set.join(', ')} FROM durable_runbooks.change_log l
       CROSS JOIN LATERAL jsonb_populate_record(NULL::${name}, nullif(l.before, 'null')) AS was
      WHERE l.id = ANY($1::bigint[]) AND l.before NOT IN ('null', l.after) AND t.${id.name} = l.key::${id.type}`,
    [logs],
  );
}

/** What was not there before. Asked for only where there is any: most roles may not delete, and bring nothing in. */
async function removeInserted(
  client: Client,
  { name, id }: { name: string; id: MappedTable['columns']['id'] },
  logs: string[],
): Promise<void> {
  const { rowCount } = await client.query(
    `SELECT FROM durable_runbooks.change_log WHERE id = ANY($1::bigint[]) AND before = 'null' LIMIT 1`,
    [logs],
  );
  if (rowCount === 0) return;
  await client.query(
    `DELETE FROM ${name} t USING durable_runbooks.change_log l
      WHERE l.id = ANY($1::bigint[]) AND l.before = 'null' AND t.${id.name} = l.key::${id.type}`,
    [logs],
  );
}

/** Whether rows can be put back past the triggers of the application. */
export async function canPassTriggers(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    `SELECT has_parameter_privilege('session_replication_role', 'SET') AS may`,
  );
  return rows[0]?.may === true;
}
