import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { disposableSettings } from '../src/activities/postgres/restore/scratch-settings';
import { freePort } from '../src/host/guardian';
import { clusterUser, DISPOSABLE_SETTINGS } from '../src/host/postgres';
import { PACKAGE_ROOT } from '../src/config/version';
import type { Bench } from './environment';
import { runShell, type ShellRun } from './shell';

export const MIGRATION = '2026_11_01_add_booking_notes.sql';
/** As in the sample's configuration. */
const JOBS = '2';
const COMPRESSION = '1';

/** Runs a baseline script with what all of them may need to know; `extra` wins. */
export async function runBaseline(
  bench: Bench,
  name: string,
  extra: Record<string, string> = {},
): Promise<ShellRun> {
  const { directory, postgres, booking } = bench;
  const user = clusterUser();
  const migrations = join(directory, 'migrations');
  const settings = { ...DISPOSABLE_SETTINGS, ...disposableSettings() };
  return runShell(name, {
    PG_BIN: postgres.binDirectory,
    OUT: join(directory, 'baseline'),
    DATABASE_URL: booking.urls.production.migrator,
    DATABASE_NAME: 'booking_production',
    STAGING_URL: booking.urls.staging.migrator,
    APP_URL: bench.appUrl,
    GLOBALS: join(directory, 'baseline', 'globals.sql'),
    INVARIANTS: writeInvariants(bench),
    UP: join(migrations, MIGRATION),
    DOWN: join(migrations, MIGRATION.replace(/\.sql$/, '.down.sql')),
    NODE: process.execPath,
    SMOKE: join(PACKAGE_ROOT, 'dist', 'examples', 'booking', 'smoke.js'),
    JOBS,
    COMPRESSION,
    AS_SERVER: user === undefined ? '' : `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups --`,
    SERVER_USER: user?.name ?? '',
    SCRATCH: join(directory, 'baseline-scratch'),
    SCRATCH_PORT: String(await freePort()),
    SCRATCH_SETTINGS: Object.entries(settings)
      .map(([key, value]) => `-c ${key}=${value === '' ? "''" : value}`)
      .join(' '),
    ...extra,
  });
}

/** The invariants of the configuration as one file; each statement prints the rows that break it. */
function writeInvariants({ config, directory }: Bench): string {
  const path = join(directory, 'invariants.sql');
  const statements = config.services['booking']?.invariants.map(({ sql }) => `${sql.trim()};`) ?? [];
  writeFileSync(path, `${statements.join('\n')}\n`);
  return path;
}
