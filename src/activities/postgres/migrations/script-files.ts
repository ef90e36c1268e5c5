import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';

export interface ScriptFile {
  name: string;
  path: string;
  content: Buffer;
  sha256: string;
}

/** Names only: nothing that leads out of the directory, and no down script in the place of a migration. */
const MIGRATION_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*\.sql$/;

export function downNameOf(migration: string): string {
  return migration.replace(/\.sql$/, '.down.sql');
}

/** Folder of a service's migrations. */
export function migrationsDirectory({ config }: ActivityDeps, service: string): string {
  return resolve(config.directory, serviceOf(config, service).migrations.directory);
}

/** Every migration of a service, in the order in which they apply. Throws MigrationMissing without a directory. */
export function listMigrationFiles(deps: ActivityDeps, service: string): string[] {
  const directory = migrationsDirectory(deps, service);
  try {
    const names = readdirSync(directory, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    return names
      .map(({ name }) => name)
      .filter((name) => MIGRATION_NAME.test(name) && !name.endsWith('.down.sql'))
      .sort((a, b) => (a < b ? -1 : 1));
  } catch (error) {
    throw fail(
      'MigrationMissing',
      `The migrations of ${service} cannot be listed (${(error as NodeJS.ErrnoException).code}). Correct \`migrations.directory\`.`,
    );
  }
}

/** Refuses what is no name of a migration. Throws InvalidInput. */
export function checkMigrationName(name: string): void {
  if (MIGRATION_NAME.test(name) && !name.endsWith('.down.sql')) return;
  throw fail(
    'InvalidInput',
    `"${name}" is no migration: give the name of a file NAME.sql in the migrations directory, without a folder and not its .down.sql.`,
  );
}

/** The script of that name, undefined where there is none. Throws InvalidInput for one that lies elsewhere. */
export function findScriptFile(deps: ActivityDeps, service: string, name: string): ScriptFile | undefined {
  const directory = migrationsDirectory(deps, service);
  const path = join(directory, name);
  try {
    if (dirname(realpathSync(path)) !== realpathSync(directory)) {
      throw fail(
        'InvalidInput',
        `${name} is a link that leads out of the migrations directory. Put the file itself there.`,
      );
    }
    const content = readFileSync(path);
    return { name, path, content, sha256: createHash('sha256').update(content).digest('hex') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === undefined) throw error;
    throw fail('MigrationMissing', `${name} of ${service} cannot be read (${code}). Let the worker read it.`);
  }
}

/** The script of that name. Throws MigrationMissing and says what is there. */
export function readScriptFile(deps: ActivityDeps, service: string, name: string): ScriptFile {
  const found = findScriptFile(deps, service, name);
  if (found !== undefined) return found;
  const known = listMigrationFiles(deps, service).slice(-10);
  throw fail(
    'MigrationMissing',
    `There is no ${name} in the migrations of ${service}. ${known.length === 0 ? 'The directory holds none.' : `The last ones are ${known.join(', ')}.`}`,
  );
}
