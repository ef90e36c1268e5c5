import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { runConfiguredCommand } from '../../support/configured-command';
import { withClient, type ConnectionOptions } from '../session/connection';
import { inTransaction } from '../session/transaction';
import { asRole, endpointOf } from '../session/endpoint';
import { mapError } from '../../support/failure';
import { currentActivity, withProgress, type Progress } from '../../support/heartbeat';
import { digestTable, fixOutput } from '../backups/contents';
import { countRows } from '../backups/inventory';
import { runInvariants } from '../inspection/invariants';
import { backupFolder, readManifest, type Manifest } from '../backups/manifest';
import { checkIndexes, checkOrphans, listForeignKeys } from './validate-constraints';
import { checkContents, judgeContents, judgeRows, type CountedTable } from './validate-contents';
import { checkSchema } from './validate-schema';
import type { Check, DatabaseRef } from '../../../contract/place';
import type { BackupRef, ValidationReport } from '../../../contract/backup';

export interface ValidateInput extends BackupRef {
  database: DatabaseRef;
  /** In a disposable cluster: the role that it was restored as, which checks it as well. */
  role?: string;
  /** Run the configured smoke command with DATABASE_URL of the copy. Default true. */
  smoke?: boolean;
}

/** One piece of the work; each session takes the next one, the longest first. */
type Task = (client: Client) => Promise<void>;

/** Two cores are the least we reckon with; the counts of big tables use more than one by themselves. */
const CHECKING_SESSIONS = 2;

export function createValidateActivities(deps: ActivityDeps) {
  return {
    /**
     * Compares a restored copy with the manifest of its backup: rows, contents where they were digested, schema, sequences,
     * large objects, required tables, foreign keys, invariants, canary, extensions, indexes, and the smoke command. A check that fails is reported, not thrown.
     * Changes nothing, so a retry is safe. Throws WrongDatabase, TargetNotOurs, BackupCorrupt, DatabaseUnreachable.
     */
    async validateRestore(input: ValidateInput): Promise<ValidationReport> {
      const startedAt = Date.now();
      const folder = backupFolder(deps, input.service, input.environment, input.backupId);
      const { manifest } = await readManifest(folder);
      const first: Progress = { phase: 'validate', done: 0, total: manifest.tables.length, unit: 'tables' };
      return withProgress(first, async (report) => {
        const { checks, counted } = await checkAll(deps, input, { manifest, folder }, report);
        const unseen = unseenBy(manifest);
        if (input.smoke !== false) checks.push(await checkSmoke(deps, input));
        return {
          ok: checks.every(({ ok }) => ok),
          checks,
          ...(unseen.length > 0 ? { unseen } : {}),
          durationMs: Date.now() - startedAt,
          tables: counted.length,
          rows: counted.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
        };
      });
    },
  };
}

async function checkAll(
  deps: ActivityDeps,
  input: ValidateInput,
  { manifest, folder }: { manifest: Manifest; folder: string },
  report: (changed: Partial<Progress>) => void,
): Promise<{ checks: Check[]; counted: CountedTable[] }> {
  const service = serviceOf(deps.config, input.service);
  const options: ConnectionOptions = {
    identity: true,
    allRows: true,
    statementTimeoutMs: 0,
    action: `validate the restore of ${input.backupId}`,
    ...(input.role === undefined ? {} : { role: input.role }),
  };
  const counted: CountedTable[] = [];
  const orphans: string[] = [];
  const checks: Check[] = [];
  const keys = await withClient(deps, input.database, (client) => listForeignKeys(client), options);
  const countTask =
    (table: Manifest['tables'][number]): Task =>
    async (client) => {
      counted.push({ ...table, expected: table.rows, ...(await readIfThere(client, table)) });
      report({ done: counted.length, table: table.name });
    };
  const tasks: Task[] = [
    async (client) => void checks.push(await checkIndexes(client)),
    ...[...manifest.tables].sort((a, b) => b.rows - a.rows).map(countTask),
    ...keys.map(
      (key): Task =>
        async (client) =>
          void orphans.push(...(await checkOrphans(client, key))),
    ),
    async (client) => void checks.push(...(await checkInvariants(client, service.invariants))),
    async (client) => void checks.push(...(await checkContents(client, manifest, service, keys))),
    async (client) => {
      const schema = await checkSchema(client, folder, manifest, input.database.kind === 'scratch');
      if (schema !== undefined) checks.push(schema);
    },
  ];
  await Promise.all(
    Array.from({ length: CHECKING_SESSIONS }, () =>
      withClient(
        deps,
        input.database,
        async (client) => {
          // Of two tables the second hurts less when it must wait; whoever is free takes the next task.
          for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) await task(client);
        },
        options,
      ),
    ),
  );
  const orphanCheck: Check = {
    name: 'no orphans',
    ok: orphans.length === 0,
    detail:
      orphans.length === 0
        ? `${keys.length} foreign keys, large tables by sample`
        : orphans.slice(0, 10).join('; '),
  };
  const judged = [
    ...judgeRows(counted, service.restore.requiredTables),
    ...judgeContents(manifest, counted),
    orphanCheck,
  ];
  return { checks: [...judged, ...checks], counted };
}

/** What no check of this backup's restore can show: a person who reads that it held must know. */
function unseenBy(manifest: Manifest): string[] {
  const unseen: string[] = [];
  if (manifest.tables.every(({ digest }) => digest === undefined))
    unseen.push(
      'Rows and large objects were counted, their contents were not compared (backups.contentDigest was off): a value that changed between the source and the checksums of the files is seen only where a key, an index, an invariant or the smoke test shows it.',
    );
  if (manifest.schemaDigest === undefined)
    unseen.push(
      'The backup has no record of the schema: a view, function, grant or setting that did not come back is not seen.',
    );
  return unseen;
}

async function readIfThere(
  client: Client,
  table: Manifest['tables'][number],
): Promise<Pick<CountedTable, 'rows' | 'found'>> {
  try {
    if (table.digest === undefined) return { rows: await countRows(client, table) };
    return await inTransaction(client, async () => {
      await fixOutput(client);
      const { rows, digest } = await digestTable(client, table);
      return { rows, found: digest };
    });
  } catch (error) {
    // A table that did not come back is a finding, not a failure of the check.
    if ((error as { code?: string }).code === '42P01' || (error as { code?: string }).code === '3F000')
      return { rows: null };
    throw error;
  }
}

async function checkInvariants(client: Client, list: Parameters<typeof runInvariants>[1]): Promise<Check[]> {
  const results = await runInvariants(client, list);
  return results.map(({ name, ok, violations, sample }) => ({
    name: `invariant ${name}`,
    ok,
    detail: ok ? 'holds' : `${violations} violations, e.g. ${sample}`,
  }));
}

/** The service's own test against the copy. It is told that this is one: e-mail, webhooks and payments stay off. */
async function checkSmoke(deps: ActivityDeps, input: ValidateInput): Promise<Check> {
  const { smoke } = serviceOf(deps.config, input.service).restore;
  if (smoke === undefined) return { name: 'smoke test', ok: true, detail: 'none configured' };
  const endpoint = endpointOf(deps, input.database);
  try {
    const detail = await runConfiguredCommand(deps, smoke, {
      DATABASE_URL: (input.role === undefined ? endpoint : asRole(endpoint, input.role)).url,
      RUNBOOKS_DRILL: '1',
      RUNBOOKS_SERVICE: input.service,
      RUNBOOKS_ENVIRONMENT: input.environment,
    });
    return { name: 'smoke test', ok: true, detail };
  } catch (error) {
    currentActivity().signal.throwIfAborted();
    return {
      name: 'smoke test',
      ok: false,
      detail: mapError(error, { action: 'run the smoke test', target: input.service }).message,
    };
  }
}
