import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { asRole, endpointOf, libpqOf } from '../session/endpoint';
import { fail, mapError } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import { makeWorkspace } from '../../support/workspace';
import { readListing } from '../backups/completeness';
import { DATA_FOLDER, type Manifest } from '../backups/manifest';
import type { LiveRights } from './live-rights';
import { describeLacking, lackingTablespaces } from './tablespaces';
import { runTool, type Tools } from '../session/tools';
import type { BackupRef } from '../../../contract/backup';
import type { DatabaseRef, Fence } from '../../../contract/place';

export interface RestoreInput extends BackupRef {
  /** A database in a disposable cluster, or one beside the live one (with `database`). */
  into: DatabaseRef;
  fence: Fence | null;
  /** The files were verified a moment ago in the same run: do not read them all again. */
  verified?: boolean;
  /** In a disposable cluster: as a role that may do what ours may on the live server, and nothing else. */
  liveRights?: boolean;
  /** Nothing can be read of the live database: its tokens and sequences cannot be carried over. */
  withoutLive?: boolean;
}

export interface RestoreRun {
  deps: ActivityDeps;
  tools: Tools;
  input: RestoreInput;
  name: string;
  /** What this attempt works in; gets the name at the end. */
  copy: DatabaseRef;
  folder: string;
  manifest: Manifest;
  /** Whom it is restored as, where that is not who we are. */
  rights?: LiveRights;
  /** Session in the maintenance database; holds the lock of the target for as long as the restore takes. */
  client: Client;
}

/** Not restored into a disposable cluster: it runs jobs by itself and needs to be preloaded. */
export const NEVER_IN_SCRATCH = ['pg_cron'];

/**
 * Runs pg_restore into the copy, without what must not be restored there. Returns what came back otherwise than it was,
 * in words. Throws RestoreFailed, BackupCorrupt.
 */
export async function load(run: RestoreRun, left: Set<string>): Promise<string[]> {
  const { deps, tools, input, manifest, folder } = run;
  const data = join(folder, DATA_FOLDER);
  const disposable = input.into.kind === 'scratch';
  const lacking = disposable ? [] : await lackingTablespaces(run.client, manifest);
  const workspace = await makeWorkspace();
  try {
    const list = join(workspace, 'list');
    await writeFile(list, await chosenEntries(run, data, left));
    const own = endpointOf(deps, run.copy);
    const role = run.rights?.role;
    const endpoint = role === undefined ? own : asRole(own, role);
    const { url, environment } = libpqOf(endpoint);
    const jobs = serviceOf(deps.config, input.service).backups?.jobs ?? 2;
    const args = [
      '--exit-on-error',
      '--verbose',
      '--no-subscriptions',
      ...(disposable || lacking.length > 0 ? ['--no-tablespaces'] : []),
      `--jobs=${jobs}`,
      `--use-list=${list}`,
      `--dbname=${url}`,
      data,
    ];
    const total = manifest.tables.length;
    let done = 0;
    await withProgress({ phase: 'restore', done, total, unit: 'tables' }, async (report) => {
      const onLine = (line: string): void => {
        const started = /processing data for table "(.+)"/.exec(line)?.[1];
        if (started !== undefined) report({ table: started });
        if (/finished item \d+ TABLE DATA/.test(line)) report({ done: (done += 1) });
      };
      const result = await runTool(tools, 'pg_restore', args, {
        environment: { ...environment, PGOPTIONS: restoreOptions(input.into) },
        onLine,
      });
      if (result.exitCode === 0) return;
      if (role !== undefined && isRefused(result.why)) throw refused(endpoint.label, result.why);
      throw mapError(new Error(result.why), {
        action: 'restore',
        target: endpoint.label,
        type: 'RestoreFailed',
      });
    });
    return lacking.length === 0 ? [] : [describeLacking(lacking)];
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
}

/** What PostgreSQL says to a role that may not do something. */
function isRefused(why: string): boolean {
  return /permission denied|must be (superuser|owner|a?\s*member|able to)|must have privileges|only superuser/i.test(
    why,
  );
}

function refused(target: string, why: string): Error {
  return fail(
    'RestoreFailed',
    `Could not restore on ${target}, with the rights that our role has on the live server: ${why} The restore over the live database would end here as well. Grant the role what it lacks, or let restores run as a superuser.`,
  );
}

/**
 * The commits of single objects need not wait for the disk: the last one, which makes the copy usable, does.
 * A disposable cluster has its memory set to what the machine allows already.
 */
function restoreOptions(into: DatabaseRef): string {
  const common =
    '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c synchronous_commit=off ' +
    '-c client_connection_check_interval=2s';
  return into.kind === 'scratch' ? common : `${common} -c maintenance_work_mem=256MB`;
}

/** The dump's table of contents without what must not, or cannot, be restored there. */
async function chosenEntries(run: RestoreRun, data: string, left: Set<string>): Promise<string> {
  const lines = await readListing(run.tools, data);
  const { rows } = await run.client.query<{ superuser: boolean }>(
    'SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user',
  );
  const superuser = rows[0]?.superuser === true && run.rights?.role === undefined;
  const disposable = run.input.into.kind === 'scratch';
  const unwanted = (line: string): boolean =>
    // Belongs to the extension's owner, who is a superuser; the text is no loss.
    (!superuser && / COMMENT - EXTENSION /.test(line)) ||
    // With its mapping a foreign table of the copy would reach the real server behind it.
    (disposable && / USER MAPPING /.test(line)) ||
    [...left].some(
      (name) => line.includes(` EXTENSION - ${name} `) || line.includes(` COMMENT - EXTENSION ${name}`),
    ) ||
    (left.has('pg_cron') && / TABLE DATA cron /.test(line));
  return `${lines.filter((line) => !unwanted(line)).join('\n')}\n`;
}
