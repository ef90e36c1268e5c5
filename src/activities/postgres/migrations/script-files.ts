import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { serviceOf } from '../../../config/load';
import { suggestion } from '../../../config/problem-text';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { layoutOf } from './layouts';
import { compareText, type Entry, type Layout, type Skipped } from './layouts/layout';

export interface ScriptFile {
  /** Its path from the migrations directory, with `/` between. */
  name: string;
  content: Buffer;
  sha256: string;
}

/** The migrations of a service, as they lie there now. */
export interface MigrationFolder {
  /** In the order in which they apply. */
  migrations: readonly Entry[];
  /** What could be taken for a migration and is none. */
  skipped: readonly Skipped[];
  /** Whether the own table of the tool of this layout says that a migration is applied, in other words than its name. */
  isApplied(name: string, told: readonly string[]): boolean;
  /** Throws InvalidInput for what is no name of a migration, MigrationMissing for one that is not there. */
  entry(name: string): Entry;
  /** The script of a migration. Throws as `entry`, and InvalidInput for a link that leads out of the directory. */
  up(name: string): ScriptFile;
  /** Its way back; undefined where there is none. */
  down(name: string): ScriptFile | undefined;
}

/** Where other people's files lie, when the directory is set too high up. */
const FOREIGN = ['.git', 'node_modules'];

/** Directory of a service's migrations. */
export function migrationsDirectory({ config }: ActivityDeps, service: string): string {
  return resolve(config.directory, serviceOf(config, service).migrations.directory);
}

/** Lists the migrations directory. Throws MigrationMissing without one, InvalidInput where its layout is not clear. */
export function openMigrations(deps: ActivityDeps, service: string): MigrationFolder {
  const directory = migrationsDirectory(deps, service);
  const files = listFiles(directory, service);
  const folder = { files, text: (path: string) => readAt(directory, service, path).content.toString('utf8') };
  const layout = layoutOf(folder, serviceOf(deps.config, service).migrations.layout);
  const { migrations, skipped } = layout.sort(folder);
  const entry = (name: string): Entry => {
    const found = migrations.find((one) => one.name === name);
    if (found === undefined) throw notThere(name, { service, layout, migrations, skipped });
    return found;
  };
  return {
    migrations,
    skipped,
    isApplied: (name, told) => layout.isApplied?.(name, told) === true,
    entry,
    up: (name) => readAt(directory, service, entry(name).up),
    down: (name) => {
      const { down } = entry(name);
      return down === undefined ? undefined : readAt(directory, service, down);
    },
  };
}

function listFiles(directory: string, service: string): string[] {
  const walk = (folder: string): string[] =>
    readdirSync(join(directory, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) return [path];
      return FOREIGN.includes(entry.name) ? [] : walk(path);
    });
  try {
    return walk('').sort(compareText);
  } catch (error) {
    throw fail(
      'MigrationMissing',
      `The migrations of ${service} cannot be listed (${(error as NodeJS.ErrnoException).code}). Correct \`migrations.directory\`.`,
    );
  }
}

function readAt(directory: string, service: string, name: string): ScriptFile {
  const path = join(directory, name);
  try {
    const real = relative(realpathSync(directory), realpathSync(path));
    if (real === '..' || real.startsWith(`..${sep}`)) {
      throw fail(
        'InvalidInput',
        `${name} is a link that leads out of the migrations directory. Put the file itself there.`,
      );
    }
    const content = readFileSync(path);
    return { name, content, sha256: createHash('sha256').update(content).digest('hex') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw fail('MigrationMissing', `${name} of ${service} cannot be read (${code}). Let the worker read it.`);
  }
}

interface Known {
  service: string;
  layout: Layout;
  migrations: readonly Entry[];
  skipped: readonly Skipped[];
}

function notThere(name: string, { service, layout, migrations, skipped }: Known): Error {
  const odd = skipped.find(({ file }) => file === name || file.startsWith(`${name}/`));
  if (odd !== undefined) return fail('InvalidInput', `${odd.file} is no migration: ${odd.why}.`);
  const names = migrations.map((one) => one.name);
  const script = migrations.find(({ up, down }) => up === name || down === name);
  if (script !== undefined)
    return fail(
      'InvalidInput',
      `"${name}" is no migration${script.down === name ? ' but its way back' : ''}: ask for ${script.name}.`,
    );
  if (!layout.isName(name))
    return fail('InvalidInput', `"${name}" is no migration: migrations here are ${layout.shape}.`);
  const known = names.slice(-10);
  return fail(
    'MigrationMissing',
    `There is no ${name} in the migrations of ${service}${suggestion(name, names) || '.'} ${known.length === 0 ? 'The directory holds none.' : `The last ones are ${known.join(', ')}.`}`,
  );
}
