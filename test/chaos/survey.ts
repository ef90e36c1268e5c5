import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { listDeployments } from '../../examples/shared/deployments';
import { createScratchActivities } from '../../src/activities/postgres/restore/scratch-activities';
import { GUARD_MEMO, type GuardMemory } from '../../src/contract/guard';
import type { BackupFacts, Facts, Leftover, MigrationFacts } from './facts';
import type { World } from './world';

/** How each write is called, wherever it is. */
const WRITE = /\tw\d+\t/g;

/** Copies of each write in a database. */
export async function writesIn({ driver }: World, database: string): Promise<Map<string, number>> {
  const url = new URL(driver.stack.postgres.url);
  url.pathname = `/${database}`;
  const { runSql } = await import('../support/postgres.js');
  const rows = await runSql<{ id: string; copies: number }>(
    url.href,
    `SELECT entity_id AS id, count(*)::int AS copies FROM audit_logs WHERE action = 'chaos' GROUP BY 1`,
  );
  return new Map(rows.map(({ id, copies }) => [id, copies]));
}

export async function liveOid({ sql }: World): Promise<string> {
  const [row] = await sql<{ oid: string }>(
    `SELECT oid::text AS oid FROM pg_database WHERE datname = 'booking_production'`,
    'postgres',
  );
  return row?.oid ?? 'none';
}

interface LedgerRow {
  migration: string;
  direction: 'up' | 'down';
}

/** What each of these migrations has left in both databases. */
export async function surveyMigrations({ sql }: World, names: string[]): Promise<MigrationFacts[]> {
  const found: MigrationFacts[] = [];
  for (const environment of ['production', 'staging'] as const) {
    const effects = await sql<{ migration: string }>('SELECT migration FROM chaos_effects', environment);
    const [there] = await sql<{ there: boolean }>(
      `SELECT to_regclass('durable_runbooks.ledger') IS NOT NULL AS there`,
      environment,
    );
    const ledger =
      there?.there === true
        ? await sql<LedgerRow>(
            `SELECT migration, direction FROM durable_runbooks.ledger WHERE statement = 0 AND status = 'finished' ORDER BY id`,
            environment,
          )
        : [];
    const objects = await sql<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname LIKE 'chaos_%' AND NOT attisdropped
       UNION ALL SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE relname LIKE 'chaos_%' AND indisvalid`,
      environment,
    );
    for (const migration of names) {
      const object = objectOf(migration);
      const own = ledger.filter((row) => row.migration === migration);
      found.push({
        environment,
        migration,
        effects: effects.filter((row) => row.migration === migration).length,
        ups: own.length - 1 - own.findLastIndex(({ direction }) => direction === 'down'),
        object: object === undefined ? null : objects.some(({ name }) => name === object),
      });
    }
  }
  return found;
}

/** Its column or index has its number: `2027_01_01_000012_column_unwell.sql`. */
export function objectOf(migration: string): string | undefined {
  const [, number, shape] = /_(\d+)_(column|index|rows)/.exec(migration) ?? [];
  return shape === 'rows' || number === undefined ? undefined : `chaos_${shape}_${number}`;
}

/** Reads the rows out of the files of a backup, without restoring it. */
export async function surveyBackups({ driver }: World, known: Set<string>): Promise<BackupFacts[]> {
  const { stack } = driver;
  const found: BackupFacts[] = [];
  for (const environment of ['production', 'staging']) {
    const folder = join(stack.directory, 'backups', 'booking', environment);
    for (const backupId of driver.backups(environment)) {
      // One without a manifest is no backup: see the leftovers.
      if (known.has(backupId) || !existsSync(join(folder, backupId, 'manifest.json'))) continue;
      const manifest = JSON.parse(readFileSync(join(folder, backupId, 'manifest.json'), 'utf8')) as {
        snapshotAt: string;
      };
      known.add(backupId);
      if (environment !== 'production') continue;
      const { stdout } = await promisify(execFile)(
        join(stack.postgres.binDirectory, 'pg_restore'),
        ['--data-only', '--table=audit_logs', '--file=-', join(folder, backupId, 'data')],
        { maxBuffer: 512 * 1024 * 1024 },
      );
      const writes = new Map<string, number>();
      for (const [match] of stdout.matchAll(WRITE)) {
        const id = match.trim();
        writes.set(id, (writes.get(id) ?? 0) + 1);
      }
      found.push({ backupId, snapshotMs: Date.parse(manifest.snapshotAt), writes });
    }
  }
  return found;
}

/** Who holds what, by the memory of the guards: of those that were terminated too. */
export async function surveyLeases({ driver }: World): Promise<Facts['leases']> {
  const { workflow } = driver.stack.client;
  const guards = new Set<string>();
  for await (const { workflowId } of workflow.list({ query: `WorkflowType = 'guard'` }))
    guards.add(workflowId);
  const leases: Facts['leases'] = [];
  for (const id of guards) {
    const { memo } = await workflow.getHandle(id).describe();
    const holder = (memo?.[GUARD_MEMO] as GuardMemory | undefined)?.holder;
    if (holder != null)
      leases.push({
        target: id.replace('guard/', ''),
        workflowId: holder.workflowId,
        kept: holder.kept !== undefined,
      });
  }
  return leases;
}

/** Everything that nobody should have left. `formers` are the databases that a restore says it keeps. */
export async function surveyLeftovers(world: World, formers: string[]): Promise<Leftover[]> {
  const { sql, driver } = world;
  const { directory } = driver.stack;
  const names = async (statement: string, environment?: 'production' | 'staging' | 'postgres') =>
    (await sql<{ name: string }>(statement, environment)).map(({ name }) => name);
  const databases = await names(
    `SELECT datname AS name FROM pg_database WHERE datname NOT LIKE 'template%'
        AND datname NOT IN ('postgres', 'booking_production', 'booking_staging')`,
    'postgres',
  );
  const sessions = await names(
    `SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'dr:%'`,
    'postgres',
  );
  const prepared = await names('SELECT gid AS name FROM pg_prepared_xacts', 'postgres');
  const closed = await names(
    `SELECT datname AS name FROM pg_database d WHERE datname LIKE 'booking_%' AND (NOT datallowconn
        OR EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS one
                    WHERE s.setdatabase = d.oid AND one LIKE 'default_transaction_read_only=on'))`,
    'postgres',
  );
  const invalid: string[] = [];
  for (const environment of ['production', 'staging'] as const)
    invalid.push(
      ...(await names(
        `SELECT relname AS name FROM pg_class JOIN pg_index ON indexrelid = oid WHERE NOT indisvalid`,
        environment,
      )),
    );
  const folders = (...path: string[]) => {
    const folder = join(directory, ...path);
    return existsSync(folder) ? readdirSync(folder) : [];
  };
  const partials = ['production', 'staging'].flatMap((one) =>
    folders('backups', 'booking', one).filter((name) => name.endsWith('.partial')),
  );
  const drafts = ['production', 'staging'].flatMap((one) =>
    folders('backups', 'booking', one).flatMap((id) =>
      folders('backups', 'booking', one, id)
        .filter((name) => name.endsWith('.new'))
        .map((name) => join(id, name)),
    ),
  );
  const bare = ['production', 'staging'].flatMap((one) =>
    driver.backups(one).filter((id) => !folders('backups', 'booking', one, id).includes('manifest.json')),
  );
  const open = await openRuns(world);
  const living = world.workers.flatMap(({ now }) => (now === undefined ? [] : [now.pid]));
  const workspaces = readdirSync(tmpdir()).filter((name) =>
    living.some((pid) => name.startsWith(`durable-runbooks-${pid}-`)),
  );
  const kept = (what: string): Leftover => ({ what, keptForPeople: true });
  const never = (what: string): Leftover => ({ what, keptForPeople: false });
  return [
    ...databases.filter((name) => !formers.includes(name)).map((name) => kept(`database ${name}`)),
    ...folders('scratch').map((name) => kept(`disposable cluster ${name}`)),
    ...closed.map((name) => kept(`${name} takes no writes`)),
    ...invalid.map((name) => kept(`invalid index ${name}`)),
    ...sessions.map((name) => never(`session ${name}`)),
    ...prepared.map((name) => never(`prepared transaction ${name}`)),
    ...partials.map((name) => never(`half a backup: ${name}`)),
    ...drafts.map((name) => never(`half a mark: ${name}`)),
    ...bare.map((name) => never(`backup ${name} without a manifest`)),
    ...workspaces.map((name) => never(`temporary folder ${name} of a worker that is alive`)),
    ...open.map((name) => never(`run ${name}, still open`)),
  ];
}

/** Runs that somebody started and nobody waits for any more. */
async function openRuns({ driver }: World): Promise<string[]> {
  const query = `ExecutionStatus = 'Running' AND WorkflowType NOT IN ('guard', 'places')`;
  const open: string[] = [];
  for await (const { workflowId } of driver.stack.client.workflow.list({ query })) open.push(workflowId);
  return open;
}

export function surveyApplication({ app, driver }: World): Facts['application'] {
  const current = listDeployments(driver.stack.directory).find((one) => one.current);
  const file = join(app.directory, 'switches.json');
  const switches = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { recommendations?: boolean })
    : {};
  return { front: current?.id ?? 'none', recommendations: switches.recommendations ?? false };
}

/** Of the forgotten transactions that the round opened. */
export async function countTrouble({ sql }: World, pids: number[]): Promise<number> {
  if (pids.length === 0) return 0;
  const rows = await sql(
    `SELECT FROM pg_stat_activity WHERE application_name = 'booking-trouble' AND pid IN (${pids.join(', ')})`,
    'postgres',
  );
  return rows.length;
}

const HOURS_AGO_SECONDS = 2 * 3_600;

/** Temporary folders of workers that were killed, which the sweep leaves behind when their time has come. */
export async function surveyAfterSweep({ driver, workers }: World): Promise<Leftover[]> {
  const look = () => readdirSync(tmpdir()).filter((name) => name.startsWith('durable-runbooks-'));
  const living = workers.flatMap(({ now }) => (now === undefined ? [] : [`durable-runbooks-${now.pid}-`]));
  const ofTheDead = look().filter((name) => !living.some((prefix) => name.startsWith(prefix)));
  const then = Date.now() / 1_000 - HOURS_AGO_SECONDS;
  for (const name of ofTheDead) utimesSync(join(tmpdir(), name), then, then);
  await createScratchActivities({ config: driver.stack.config }).sweepScratch();
  const left = look().filter((name) => ofTheDead.includes(name));
  return left.map((name) => ({
    what: `temporary folder ${name} of a worker that was killed`,
    keptForPeople: false,
  }));
}
