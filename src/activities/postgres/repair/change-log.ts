import type { ClientBase } from 'pg';
import { fail } from '../../support/failure';
import { applicationName } from '../../support/heartbeat';
import { keysParameter, type MappedTable } from './mapping';

/** Which step of which run changes rows. */
export interface LogEntry {
  run: string;
  step: string;
}

/** One row of the application. Rows of one unit are put back together or not at all. */
export interface RowOfUnit {
  key: string;
  unit: string;
}

/** Rows that this transaction has locked. */
export interface LockedRows {
  table: MappedTable | undefined;
  rows: RowOfUnit[];
}

type Image = RowOfUnit & { image: string };

/**
 * Writes each of these rows into the change log, as it was before the first change and as it is after the last: triggers of
 * the application change rows as well. Those that stay as they are guard their unit: it is put back only where they still
 * are so.
 */
export async function withImages<T>(
  client: ClientBase,
  log: LogEntry,
  locked: LockedRows[],
  change: () => Promise<T>,
): Promise<T> {
  const before: { table: MappedTable; rows: Image[] }[] = [];
  for (const { table, rows } of locked)
    if (table !== undefined && rows.length > 0)
      before.push({ table, rows: await imagesOf(client, table, rows) });
  const result = await change();
  for (const { table, rows } of before) {
    await writeDown(client, log, table, rows);
    await needWayBack(client, log, table, rows);
  }
  return result;
}

/**
 * Which columns change is only known afterwards, because triggers of the application change some: what could not be set
 * back is not kept either. Throws MissingPrivilege.
 */
async function needWayBack(
  client: ClientBase,
  { run, step }: LogEntry,
  { name }: MappedTable,
  rows: RowOfUnit[],
): Promise<void> {
  const { rows: found } = await client.query<{ columns: string | null; role: string }>(
    `SELECT string_agg(DISTINCT quote_ident(a.attname), ', ') AS columns, quote_ident(current_user) AS role
       FROM durable_runbooks.change_log l CROSS JOIN LATERAL jsonb_each(l.before) AS was
       JOIN pg_attribute a ON a.attrelid = $3::text::regclass AND a.attname = was.key AND a.attgenerated = ''
      WHERE l.run = $1 AND l.step = $2 AND l.relation = $3::text AND l.key = ANY($4)
        AND was.value IS DISTINCT FROM l.after -> was.key AND NOT has_column_privilege(a.attrelid, a.attnum, 'UPDATE')`,
    [run, step, name, rows.map(({ key }) => key)],
  );
  const { columns, role } = found[0]!;
  if (columns === null) return;
  throw fail(
    'MissingPrivilege',
    `Triggers of ${name} set ${columns}, which ${role} could not set back. Nothing of this batch was changed: GRANT UPDATE (${columns}) ON ${name} TO ${role}, then start again.`,
  );
}

async function imagesOf(
  client: ClientBase,
  { name, columns: { id } }: MappedTable,
  rows: RowOfUnit[],
): Promise<Image[]> {
  const found = await client.query<Image>(
    `SELECT w.key::text AS key, w.unit, to_jsonb(t)::text AS image
       FROM unnest(${keysParameter(1, id)}, $2::text[]) AS w(key, unit) JOIN ${name} t ON t.${id.name} = w.key`,
    [rows.map(({ key }) => key), rows.map(({ unit }) => unit)],
  );
  return found.rows;
}

/** A row of an earlier batch goes on where that left it; where somebody changed it in between, that stays to be seen. */
async function writeDown(
  client: ClientBase,
  { run, step }: LogEntry,
  { name, columns: { id } }: MappedTable,
  images: Image[],
): Promise<void> {
  await client.query(
    `INSERT INTO durable_runbooks.change_log AS l (run, step, unit, relation, key, before, after, holder)
     SELECT $4, $5, w.unit, $6, w.key::text, w.image::jsonb, coalesce(to_jsonb(t), 'null'), $7
       FROM unnest(${keysParameter(1, id)}, $2::text[], $3::text[]) AS w(key, unit, image) LEFT JOIN ${name} t ON t.${id.name} = w.key
     ON CONFLICT (run, step, relation, key) DO UPDATE SET after = excluded.after WHERE l.after = excluded.before`,
    [
      images.map(({ key }) => key),
      images.map(({ unit }) => unit),
      images.map(({ image }) => image),
      run,
      step,
      name,
      applicationName(),
    ],
  );
}

/** Sets columns of rows that this transaction has locked. `set` is SQL over the alias `t`; its parameters begin with $2. */
export async function changeRows(
  client: ClientBase,
  { name, columns: { id } }: MappedTable,
  rows: RowOfUnit[],
  set: string,
  parameters: unknown[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const { rowCount } = await client.query(
    `UPDATE ${name} t SET ${set} WHERE t.${id.name} = ANY(${keysParameter(1, id)})`,
    [rows.map(({ key }) => key), ...parameters],
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
    `SELECT key FROM durable_runbooks.change_log
      WHERE run = $1 AND step = $2 AND relation = $3 AND undone_at IS NULL AND before <> after`,
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

/** Rows that this transaction has brought in: nothing was there before, so going back removes them. */
export async function logInserted(
  client: ClientBase,
  { run, step }: LogEntry,
  { name, columns: { id } }: MappedTable,
  rows: RowOfUnit[],
): Promise<void> {
  await client.query(
    `INSERT INTO durable_runbooks.change_log (run, step, unit, relation, key, before, after, holder)
     SELECT $3, $4, w.unit, $5, w.key::text, 'null', to_jsonb(t), $6
       FROM unnest(${keysParameter(1, id)}, $2::text[]) AS w(key, unit) JOIN ${name} t ON t.${id.name} = w.key`,
    [rows.map(({ key }) => key), rows.map(({ unit }) => unit), run, step, name, applicationName()],
  );
}
