import { patched } from '@temporalio/workflow';
import type { MissingMigrations } from '../../../contract/migration';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, type Run } from '../../kit';
import type { RestoredCopy } from '../scratch-copy';

/** What migrateDatabase takes by name at once. */
const MAX_FILES = 50;
const MAX_NAMED = 10;

/** What the application may rely on, and the backup does not have yet. Read from the drilled copy, before anybody is asked. */
export async function lookForMissing(
  run: Run,
  place: Place,
  { database }: RestoredCopy,
): Promise<MissingMigrations | undefined> {
  if (!patched('names-missing-migrations')) return undefined;
  return run.step(
    'Which migrations does the copy lack?',
    (act) => act.findMissingMigrations({ ...place, copy: database }),
    { describe: missingText },
  );
}

export function missingText({ count, names, byFolder, problem }: MissingMigrations): string {
  if (count === null) return `which migrations it lacks is not known: ${problem ?? ''}`;
  if (count === 0) return `it has all migrations ${byFolder ? 'of the folder' : 'of the live database'}`;
  const more = count > MAX_NAMED ? ` and ${count - MAX_NAMED} more` : '';
  const from = byFolder ? ' of the folder; whether they were applied nobody can tell' : '';
  return `it lacks ${countOf(count, 'migration')}${from}: ${names.slice(0, MAX_NAMED).join(', ')}${more}`;
}

/** For the plan: nothing where it lacks none. */
export function missingWarnings(missing: MissingMigrations | undefined): string[] {
  if (missing === undefined || missing.count === 0) return [];
  const later = missing.count === null ? 'look at them in mode observe of' : 'apply them by';
  const next = canApply(missing)
    ? '; migrateDatabase is started for them once it is live, with a plan of its own'
    : `; ${later} migrateDatabase once it is live`;
  return [`the restored copy: ${missingText(missing)}${next}`];
}

function canApply({ count, byFolder }: MissingMigrations): boolean {
  return count !== null && count > 0 && count <= MAX_FILES && !byFolder;
}

/** Starts what applies them, under a plan and a lease of its own. Says what is left to people, or nothing. */
export async function applyMissing(
  run: Run,
  place: Place,
  missing: MissingMigrations | undefined,
  startedBy: string,
): Promise<string> {
  if (missing === undefined || missing.count === 0) return '';
  const left = `; ${missingText(missing)}. ${missing.count === null ? 'Look at them in mode observe of' : 'Apply them by'} migrateDatabase`;
  if (!canApply(missing)) return left;
  const { service, environment } = place;
  const input = {
    ...{ service, environment, files: missing.names, startedBy },
    ...(run.policy.environments.includes('staging') ? {} : { staging: 'none' }),
    mode: run.policy.mode,
    reason: `missing in the backup that took over, by ${run.id}`.slice(0, 500),
  };
  // The database serves: nobody waits for it with this run, or loses the end of it.
  const { ok, why } = await run.attempt(() =>
    run.launch('Apply what it lacks', 'migrateDatabase', `restored-${environment}`, input),
  );
  if (!ok) return `${left}: it could not be started, ${why}`;
  return `; ${missingText(missing)}, and migrateDatabase is started for them in ${targetOf(place)}`;
}
