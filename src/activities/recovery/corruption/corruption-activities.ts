import type { Client } from 'pg';
import {
  BRING_BACK_STEP,
  type Comparison,
  type DamagedRow,
  type Violation,
} from '../../../contract/corruption';
import { databaseIn, placeOf, type DatabaseRef, type Place, type ScratchRef } from '../../../contract/place';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../../postgres/repair/batches';
import { changedBefore } from '../../postgres/repair/change-log';
import { checkRole } from '../../postgres/repair/role';
import { triggersOnTheWayBack } from '../../postgres/repair/unconfigured';
import { canPassTriggers, undoRows } from '../../postgres/repair/undo';
import { highestFenceToken } from '../../postgres/session/bookkeeping';
import { withClient } from '../../postgres/session/connection';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import { corruptionOf } from '../settings';
import { bringIn, putRight, readImages, type Item } from './bring-back';
import { readCatalogue, type KeyedTable } from './catalogue';
import { compare, SAME_TEXTS } from './compare';
import { referredSince } from './referred-since';
import { countViolations, damagedIndexes, readRules } from './violations';

export interface BringBackInput extends RepairInput {
  copy: ScratchRef;
  /** Those of the plan, and no others. */
  rows: DamagedRow[];
}

const READING_MS = 10 * 60_000;
const reading = { readOnly: true, allRows: true, statementTimeoutMs: READING_MS } as const;
const identityOf = (database: DatabaseRef) => database.kind === 'service' && database.database === undefined;

/** Rows that were lost or spoiled: found, and brought back from a copy. */
export function createCorruptionActivities(deps: ActivityDeps) {
  return {
    /**
     * Which rules are broken in a database or a copy of it: foreign keys, also those that nobody validated, CHECK constraints
     * that nobody validated, those of the configuration, and indexes where amcheck is there. Reads only, so a retry is safe.
     */
    async findViolations({
      database,
    }: {
      database: DatabaseRef;
    }): Promise<{ violations: Violation[]; amcheck: boolean }> {
      const progress = { phase: 'look for broken rules', done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, (report) =>
        withClient(
          deps,
          database,
          async (client) => {
            const rules = await readRules(client, corruptionOf(deps, placeOf(database)));
            report({ total: rules.length });
            const violations = await countViolations(client, rules, (done) => report({ done }));
            const indexes = await damagedIndexes(client);
            return { violations: [...violations, ...(indexes ?? [])], amcheck: indexes !== null };
          },
          { ...reading, identity: identityOf(database), action: 'look for broken rules' },
        ),
      );
    },

    /** What a copy could mend. Reads only, so a retry is safe. Throws MissingPrivilege where nothing could be taken back. */
    async compareWithCopy({ copy, ...place }: Place & { copy: ScratchRef }): Promise<Comparison> {
      const config = corruptionOf(deps, place);
      const progress = { phase: 'compare with the backup', done: 0, total: 0, unit: 'tables' as const };
      return withProgress(progress, (report) =>
        withClient(
          deps,
          copy,
          (there) =>
            withClient(
              deps,
              databaseIn(place),
              async (live) => {
                await needWayBack(live);
                const found = await compare(live, there, config, (done, total) => report({ done, total }));
                const { keyed } = await readCatalogue(live);
                const changed = keyed.filter(({ name }) => found.tables.some(({ table }) => table === name));
                if (config.role !== undefined)
                  await checkRole(
                    live,
                    config.role,
                    keyed.map(({ name }) => name),
                  );
                await needRights(
                  live,
                  config.role,
                  changed.map(({ name }) => name),
                );
                return {
                  ...found,
                  maxRows: config.maxRows,
                  fenceToken: await highestFenceToken(live),
                  warnings: [
                    ...(config.role === undefined
                      ? [
                          'rows are changed with every right of the runbooks: no recovery.corruption.role is configured',
                        ]
                      : []),
                    ...(await triggersOnTheWayBack(live, changed)),
                  ],
                };
              },
              { ...reading, identity: true, action: 'compare with the backup' },
            ),
          { ...reading, action: 'read the copy' },
        ),
      );
    },

    /**
     * Brings exactly these rows back from the copy: those that are missing, and those that are still as they were seen. Each
     * batch is one transaction with its images in the change log, past the triggers of the application. What is there by
     * now, or was changed since, is left alone. Safe to retry. Throws StaleFencingToken, FenceBusy, MissingPrivilege.
     */
    async bringBackRows({ copy, rows, ...input }: BringBackInput): Promise<Repaired> {
      const { role, batchRows } = corruptionOf(deps, input);
      const log = { run: input.run, step: BRING_BACK_STEP };
      let tables: Map<string, KeyedTable>;
      const batching = { role, batchRows, action: 'bring rows back', step: BRING_BACK_STEP };
      return withClient(
        deps,
        copy,
        async (there) => {
          await there.query(SAME_TEXTS);
          return inBatches<Item>(
            deps,
            input,
            { ...batching, withoutTriggers: true, evenReadOnly: true },
            async (client) => {
              await needWayBack(client);
              tables = new Map((await readCatalogue(client)).keyed.map((table) => [table.name, table]));
              const done = new Set<string>();
              for (const table of new Set(rows.map((row) => row.table)))
                for (const key of await changedBefore(client, log, tableOf(tables, table)))
                  done.add(unitOf(table, key));
              const items = rows
                .map((row) => ({ ...row, unit: unitOf(row.table, row.key) }))
                .filter(({ unit }) => !done.has(unit));
              return { items, weigh: () => 1, doneBefore: done.size };
            },
            async (client, items) => {
              const result: BatchResult<Item> = { done: 0, left: [], later: [] };
              for (const name of new Set(items.map(({ table }) => table))) {
                const table = tableOf(tables, name);
                const mine = items.filter((item) => item.table === name);
                const images = await readImages(there, table, mine);
                const lost = mine.filter(({ seen }) => seen === null);
                const spoiled = mine.filter(({ seen }) => seen !== null);
                add(result, await bringIn(client, log, table, lost, images));
                add(result, await putRight(client, log, table, spoiled, images));
              }
              return result;
            },
          );
        },
        { ...reading, action: 'read the copy' },
      );
    },

    /** Takes back what this run brought, each row as it was or gone again; what somebody changed, or refers to, since is left alone and named. Safe to retry. */
    async undoBringBack(input: RepairInput): Promise<Repaired> {
      const { role, batchRows } = corruptionOf(deps, input);
      let keyed: KeyedTable[] = [];
      return undoRows(
        deps,
        input,
        { role, batchRows, action: 'take rows back', withoutTriggers: true, evenReadOnly: true },
        {
          step: BRING_BACK_STEP,
          tables: async (client) => (keyed = (await readCatalogue(client)).keyed),
          mustStay: async (client, table, keys) => {
            const log = { run: input.run, step: BRING_BACK_STEP };
            const referred = await referredSince(client, log, keyed, table, keys);
            return new Map(
              [...referred].map(([key, child]) => [
                key,
                `rows of ${child} refer to ${table.name} ${key} since`,
              ]),
            );
          },
          afterwards: async () => undefined,
        },
      );
    },
  };
}

const unitOf = (table: string, key: string) => `${table} ${key}`;

function add(sum: BatchResult<Item>, more: BatchResult<Item>): void {
  sum.done += more.done;
  sum.left.push(...more.left);
  sum.later.push(...more.later);
}

function tableOf(tables: Map<string, KeyedTable>, name: string): KeyedTable {
  const table = tables.get(name);
  if (table !== undefined) return table;
  throw fail(
    'InvalidInput',
    `${name} is not there any more, or has another primary key. Nothing of it was changed; start again.`,
  );
}

/** With triggers, removing what was brought in could take rows of others with it. */
async function needWayBack(client: Client): Promise<void> {
  if (await canPassTriggers(client)) return;
  throw fail(
    'MissingPrivilege',
    'Rows are brought back, and taken back, past the triggers of the application, and our role may not do that. Nothing was changed: GRANT SET ON PARAMETER session_replication_role TO it (PostgreSQL 15 or newer), then start again; or restoreDatabase.',
  );
}

/** What is brought in, going back takes out. Asked before anybody is. */
async function needRights(client: Client, role: string | undefined, tables: string[]): Promise<void> {
  const { rows } = await client.query<{ role: string; missing: string | null }>(
    `SELECT quote_ident(r.name) AS role, string_agg(format('GRANT %s ON %s TO %I', right_, t.name, r.name), '; ' ORDER BY t.name, right_) FILTER (WHERE t.name IS NOT NULL) AS missing
       FROM (SELECT coalesce($2, current_user)) AS r(name)
       LEFT JOIN (unnest($1::text[]) AS t(name) CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS right_)
              ON NOT has_table_privilege(r.name, t.name, right_) GROUP BY r.name`,
    [tables, role ?? null],
  );
  const [found] = rows;
  if (found?.missing == null) return;
  throw fail(
    'MissingPrivilege',
    `${found.role} could not bring rows back, or take them back. Nothing was changed: ${found.missing}, then start again.`,
  );
}
