import { escapeIdentifier, type Client } from 'pg';
import { appendAudit } from '../postgres/repair/audit-trail';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../postgres/repair/batches';
import {
  changedBefore,
  changeRows,
  logInserted,
  withImages,
  type LogEntry,
} from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { keysParameter, valueParameter } from '../postgres/repair/mapping';
import { checkSelection } from '../postgres/repair/selection';
import { undoAudited } from '../postgres/repair/undo-audited';
import type { ActivityDeps } from '../support/deps';
import { fail, sqlStateOf } from '../support/failure';
import { draftsOf, type DraftsConfig } from './settings';
import { changedTables, readDraftTables, type DraftTables } from './tables';

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

export interface SalvageInput extends RepairInput {
  /** Of the change log. */
  step: string;
  salvages: Salvage[];
}

type Item = Salvage & { unit: string };

/** Brings back what was written and not stored, and takes that back. Nothing of it ever leaves the database. */
export function createSalvageActivities(deps: ActivityDeps) {
  return {
    /**
     * Stores exactly the named attempts where the draft still has the version that was looked at, and says so in the
     * journal in the same transaction. Safe to retry. Throws EmptySelection, TooManyTargets, CopyRefused,
     * StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async salvageDrafts(input: SalvageInput): Promise<Repaired> {
      const config = draftsOf(deps, input.service);
      checkSelection(input, {
        count: input.salvages.length,
        one: 'draft',
        many: 'drafts',
        become: 'changed',
        most: config.maxDrafts,
        limit: 'drafts.maxDrafts allows',
      });
      const { step, run } = input;
      const log = { run, step };
      let tables: DraftTables;
      return inBatches<Item>(
        deps,
        input,
        { role: config.role, batchRows: config.batchRows, action: 'salvage drafts', step },
        async (client) => {
          tables = await readDraftTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.attempts);
          const items = input.salvages
            .filter((one) => !attemptsOf(one).some((id) => before.has(id)))
            .map((one) => ({ ...one, unit: `draft ${one.draft}` }));
          return { items, weigh: () => 1, doneBefore: input.salvages.length - items.length };
        },
        (client, items) => salvageBatch(client, { log, tables, config }, items),
      );
    },

    /**
     * Puts drafts and journal back as they were before that step; what somebody has changed since is left alone and named.
     * Safe to retry. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async undoDraftSalvage({ step, ...input }: RepairInput & { step: string }): Promise<Repaired> {
      const config = draftsOf(deps, input.service);
      const { role, batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put drafts back' },
        {
          step,
          read: async (client) => {
            const tables = await readDraftTables(client, input.service, config);
            return { changed: changedTables(tables), entities: tables.drafts, trail: tables.audit };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}

function attemptsOf({ winner, copies, setAside }: Salvage): string[] {
  return [...(winner === undefined ? [] : [winner]), ...copies, ...setAside];
}

interface Salvaging {
  log: LogEntry;
  tables: DraftTables;
  config: DraftsConfig;
}

async function salvageBatch(client: Client, salvaging: Salvaging, items: Item[]): Promise<BatchResult<Item>> {
  const { log, tables, config } = salvaging;
  const { drafts, attempts } = tables;
  const { good, left, later } = await lockBoth(client, salvaging, items);
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
  return { done: good.length, left, later };
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
