import type { ClientBase } from 'pg';
import { fail } from '../../support/failure';
import { applicationName } from '../../support/heartbeat';
import { keysParameter, type MappedTable } from './mapping';

/** Which step of which run changes rows. */
export interface LogEntry {
  run: string;
  step: string;
}

/** One row that is to be changed. Rows of one unit are put back together or not at all. */
export interface RowOfUnit {
  key: string;
  unit: string;
}

/**
 * Sets columns of rows that this transaction has locked, and writes each row as it was and as it is now into the change
 * log. `set` is SQL over the alias `t`; its parameters begin with $6.
 */
export async function changeRows(
  client: ClientBase,
  { run, step }: LogEntry,
  table: MappedTable,
  rows: RowOfUnit[],
  set: string,
  parameters: unknown[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const { name, columns } = table;
  const { rowCount } = await client.query(
    `WITH wanted AS (SELECT * FROM unnest(${keysParameter(1, columns.id)}, $2::text[]) AS w(key, unit)),
       before AS MATERIALIZED (SELECT wanted.key, wanted.unit, to_jsonb(t) AS image FROM wanted JOIN ${name} t ON t.${columns.id.name} = wanted.key),
       changed AS (UPDATE ${name} t SET ${set} FROM before WHERE t.${columns.id.name} = before.key
                   RETURNING before.key, before.unit, before.image AS before, to_jsonb(t) AS after)
     INSERT INTO durable_runbooks.change_log (run, step, unit, relation, key, before, after, holder)
     SELECT $3, $4, unit, '${name.replaceAll("'", "''")}', key::text, before, after, $5 FROM changed`,
    [rows.map(({ key }) => key), rows.map(({ unit }) => unit), run, step, applicationName(), ...parameters],
  );
  return rowCount ?? 0;
}

/** Keys of rows of a table that this step of this run has changed already. */
export async function changedBefore(
  client: ClientBase,
  { run, step }: LogEntry,
  table: MappedTable,
): Promise<Set<string>> {
  const { rows } = await client.query<{ key: string }>(
    'SELECT key FROM durable_runbooks.change_log WHERE run = $1 AND step = $2 AND relation = $3 AND undone_at IS NULL',
    [run, step, table.name],
  );
  return new Set(rows.map(({ key }) => key));
}

/** Under the fence: from its COMMIT on no batch of that step gets in. Safe to repeat. */
export async function closeStep(client: ClientBase, { run, step }: LogEntry): Promise<void> {
  await client.query(
    'INSERT INTO durable_runbooks.closed_step (run, step, holder) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [run, step, applicationName()],
  );
}

/** Under the fence. Throws StaleFencingToken where the step is being taken back: a worker that was frozen comes too late. */
export async function refuseClosed(client: ClientBase, { run, step }: LogEntry): Promise<void> {
  const { rowCount } = await client.query(
    'SELECT FROM durable_runbooks.closed_step WHERE run = $1 AND step = $2',
    [run, step],
  );
  if (rowCount === 0) return;
  throw fail(
    'StaleFencingToken',
    `Step ${step} of this run was taken back meanwhile, so nothing more is changed. Start a new run.`,
  );
}
