import { escapeIdentifier, type Client } from 'pg';
import { appendAudit } from '../postgres/repair/audit-trail';
import type { BatchResult, LeftAlone } from '../postgres/repair/batches';
import { changeRows, logInserted, withImages, type LogEntry } from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { keysParameter, valueParameter } from '../postgres/repair/mapping';
import { fail, sqlStateOf } from '../support/failure';
import type { DraftsConfig } from './settings';
import type { DraftTables } from './tables';

/** What becomes of the lost attempts of one draft; each by its key. */
export interface Salvage {
  draft: string;
  /** Version that is stored: with any other nothing is done. */
  stored: string;
  /** Becomes the draft. */
  winner?: string;
  /** Each becomes another draft. */
  copies: string[];
  /** Stay in the journal only. */
  setAside: string[];
}

export type Item = Salvage & { unit: string };

export function attemptsOf({ winner, copies, setAside }: Salvage): string[] {
  return [...(winner === undefined ? [] : [winner]), ...copies, ...setAside];
}

export interface Salvaging {
  log: LogEntry;
  tables: DraftTables;
  config: DraftsConfig;
}

/** One transaction; what is not as it was looked at is left alone. */
export async function salvageBatch(
  client: Client,
  salvaging: Salvaging,
  items: Item[],
): Promise<BatchResult<Item>> {
  const { good, left, later } = await lockBoth(client, salvaging, items);
  const stored = await storeWhatGoes(client, salvaging, good);
  await writeAudit(client, salvaging, stored.done);
  return { done: stored.done.length, left: [...left, ...stored.left], later };
}

/** What the database itself, or a trigger of the application, refuses to have in a row. */
const REFUSED = /^(22|23|P0001)/;

/** All at once; where something of it is refused, e.g. because it is too long, each by itself: it keeps no other back. */
async function storeWhatGoes(
  client: Client,
  salvaging: Salvaging,
  items: Item[],
): Promise<{ done: Item[]; left: LeftAlone[] }> {
  const [first] = items;
  if (first === undefined) return { done: [], left: [] };
  await client.query('SAVEPOINT salvage');
  try {
    await store(client, salvaging, items);
    await client.query('RELEASE SAVEPOINT salvage');
    return { done: items, left: [] };
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === undefined || !REFUSED.test(state)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT salvage; RELEASE SAVEPOINT salvage');
    if (items.length === 1) return { done: [], left: [{ unit: first.unit, why: whyRefused(error, state) }] };
  }
  const done: Item[] = [];
  const left: LeftAlone[] = [];
  for (const one of items) {
    const stored = await storeWhatGoes(client, salvaging, [one]);
    done.push(...stored.done);
    left.push(...stored.left);
  }
  return { done, left };
}

/** The database's own words may quote the row; names of its constraints do not. */
function whyRefused(error: unknown, state: string): string {
  const { constraint } = error as { constraint?: string };
  return `the database refuses what was written (SQLSTATE ${state}${constraint === undefined ? '' : `, ${constraint}`})`;
}

async function store(client: Client, salvaging: Salvaging, good: Item[]): Promise<void> {
  const { log, tables } = salvaging;
  const { drafts, attempts } = tables;
  const winners = good.filter(({ winner }) => winner !== undefined);
  await withImages(
    client,
    log,
    [
      { table: drafts, rows: winners.map(({ draft, unit }) => ({ key: draft, unit })) },
      { table: attempts, rows: good.flatMap((one) => rowsOf(one, attemptsOf(one))) },
    ],
    async () => {
      for (const one of good)
        for (const attempt of one.copies) await copyDraft(client, salvaging, one, attempt);
      await storeWinners(client, tables, winners);
      await writeJournal(client, salvaging, good);
    },
  );
}

async function writeAudit(client: Client, { log, tables, config }: Salvaging, good: Item[]): Promise<void> {
  await appendAudit(
    client,
    tables.audit,
    { ...config.audit, action: config.audit.salvaged },
    good.map(({ draft, winner, copies, setAside }) => ({
      entity: draft,
      details: {
        stored: winner ?? 'none',
        copied: copies.join(' ') || 'none',
        setAside: setAside.join(' ') || 'none',
        run: log.run,
      },
    })),
  );
}

const rowsOf = ({ unit }: Item, keys: string[]) => keys.map((key) => ({ key, unit }));

/** Only where draft and attempts are as they were looked at. */
async function lockBoth(client: Client, { tables, config }: Salvaging, items: Item[]) {
  const { drafts, attempts } = tables;
  const version = `t.${drafts.columns.version.name}::text`;
  const locked = await lockRows(client, drafts, {
    keys: items.map(({ draft }) => draft),
    strength: 'NO KEY UPDATE',
    where: `${version} = ANY($2::text[])`,
    parameters: [items.map(({ stored }) => stored)],
  });
  // Versions of one draft are another's as well: each is compared with its own.
  const { rows } = await client.query<{ key: string; version: string }>(
    `SELECT t.${drafts.columns.id.name}::text AS key, ${version} AS version FROM ${drafts.name} t
      WHERE t.${drafts.columns.id.name} = ANY(${keysParameter(1, drafts.columns.id)})`,
    [[...locked.got.keys()]],
  );
  const versions = new Map(rows.map((row) => [row.key, row.version]));
  const journal = await lockRows(client, attempts, {
    keys: items.flatMap(attemptsOf),
    strength: 'NO KEY UPDATE',
    where: `t.${attempts.columns.status.name}::text = ANY($2::text[])`,
    parameters: [config.states.failed],
  });
  const later = items.filter(
    (one) => locked.locked.has(one.draft) || attemptsOf(one).some((id) => journal.locked.has(id)),
  );
  const good = items.filter(
    (one) =>
      !later.includes(one) &&
      versions.get(one.draft) === one.stored &&
      attemptsOf(one).every((id) => journal.got.has(id)),
  );
  const left = items
    .filter((one) => !later.includes(one) && !good.includes(one))
    .map((one) => ({
      unit: one.unit,
      why:
        versions.get(one.draft) === one.stored
          ? 'its attempts are not as they were looked at'
          : `version ${one.stored} is not what is stored any more`,
    }));
  return { good, left, later };
}

async function storeWinners(client: Client, tables: DraftTables, winners: Item[]): Promise<void> {
  if (winners.length === 0) return;
  const { drafts, attempts } = tables;
  const { id, version, updatedAt, body } = drafts.columns;
  await client.query(
    `UPDATE ${drafts.name} t SET ${body.name} = ${bodyOf(tables)}, ${version.name} = t.${version.name} + 1, ${updatedAt.name} = now()
       FROM unnest(${keysParameter(1, id)}, ${keysParameter(2, attempts.columns.id)}) AS w(draft, attempt)
       JOIN ${attempts.name} a ON a.${attempts.columns.id.name} = w.attempt
      WHERE t.${id.name} = w.draft`,
    [winners.map(({ draft }) => draft), winners.map(({ winner }) => winner)],
  );
}

/** What was written, as the drafts keep it. */
function bodyOf({ drafts, attempts }: DraftTables): string {
  const { name, type } = attempts.columns.body;
  const wanted = drafts.columns.body.type;
  return type === wanted ? `a.${name}` : `a.${name}::text::${wanted}`;
}

async function writeJournal(client: Client, { tables, config }: Salvaging, good: Item[]): Promise<void> {
  const { attempts } = tables;
  const { status } = attempts.columns;
  const set = `${status.name} = ${valueParameter(2, status)}`;
  const stored = good.flatMap((one) => rowsOf(one, attemptsOf({ ...one, setAside: [] })));
  const rest = good.flatMap((one) => rowsOf(one, one.setAside));
  await changeRows(client, attempts, stored, set, [config.states.salvaged]);
  await changeRows(client, attempts, rest, set, [config.states.setAside]);
}

/** Another draft, like the one that it was written for in everything but its key and what was written. */
async function copyDraft(
  client: Client,
  { log, tables }: Salvaging,
  { draft, unit }: Item,
  attempt: string,
): Promise<void> {
  const { drafts, attempts } = tables;
  const { id, body, updatedAt } = drafts.columns;
  const { rows: found } = await client.query<{ name: string }>(
    `SELECT quote_ident(attname) AS name FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''`,
    [drafts.name],
  );
  const special = [id, body, updatedAt].map(({ name }) => name);
  const same = found
    .map(({ name }) => escapeIdentifier(name.replace(/^"(.*)"$/s, '$1').replaceAll('""', '"')))
    .filter((name) => !special.includes(name));
  const columns = [...same, body.name, updatedAt.name];
  const values = [...same.map((name) => `t.${name}`), bodyOf(tables), 'now()'];
  const { rows } = await client
    .query<{ key: string }>(
      `INSERT INTO ${drafts.name} (${columns.join(', ')}) SELECT ${values.join(', ')} FROM ${drafts.name} t, ${attempts.name} a
        WHERE t.${id.name} = $1::text::${id.type} AND a.${attempts.columns.id.name} = $2::text::${attempts.columns.id.type}
       RETURNING ${id.name}::text AS key`,
      [draft, attempt],
    )
    .catch((error: unknown) => refuseCopy(error, drafts.name, draft));
  await logInserted(
    client,
    log,
    drafts,
    rows.map(({ key }) => ({ key, unit })),
  );
}

/** The database's own words may quote the row. */
function refuseCopy(error: unknown, table: string, draft: string): never {
  const state = sqlStateOf(error);
  if (state === undefined || !/^23/.test(state)) throw error;
  throw fail(
    'CopyRefused',
    `${table} takes no copy of draft ${draft} (SQLSTATE ${state}): its key needs a default, and nothing else may have to be unique. Nothing of this batch was changed: set drafts.keep to ask or newest, then start again.`,
  );
}
