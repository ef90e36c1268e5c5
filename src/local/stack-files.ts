/** What a stack writes into its folder, and the folders of stacks that are no more. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, parseDocument } from 'yaml';
import { PACKAGE_ROOT } from '../config/version';
import type { LocalTemporal } from './temporal';

/** Holds the process ID of who made the folder. */
const OWNER = 'owner.pid';

export function markOwned(directory: string): void {
  writeFileSync(join(directory, OWNER), String(process.pid));
}

/** Folders of stacks whose process was killed: nothing runs in them any longer. */
export function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    try {
      process.kill(Number(readFileSync(join(directory, OWNER), 'utf8')), 0);
    } catch (error) {
      // ESRCH: nobody has that ID. Anything else, e.g. no owner yet: not ours to judge.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH')
        rmSync(directory, { recursive: true, force: true });
    }
  }
}

const EXAMPLE = 'example';

/** A folder that is kept belongs to one example: its runs and schedules know no other. Throws where it is another's. */
export function claimFor(example: string, directory: string): void {
  const file = join(made(directory), EXAMPLE);
  const owner = existsSync(file) ? readFileSync(file, 'utf8').trim() : example;
  if (owner !== example)
    throw new Error(
      `${directory} keeps the data of the example ${owner}: choose another folder, or --example ${owner}.`,
    );
  writeFileSync(file, `${example}\n`);
}

export const SCRATCH = 'scratch';

/** Every command finds this stack through its configuration file, and all that it makes lies in its folder. */
export function completeConfig(file: string, { address, uiUrl }: LocalTemporal, alertsPort: number): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  document.setIn(['temporal', 'address'], address);
  document.setIn(['temporal', 'uiUrl'], uiUrl);
  const services = document.getIn(['services']);
  for (const { key } of isMap(services) ? services.items : []) {
    const path = ['services', String(key), 'restore'];
    if (document.hasIn(path)) document.setIn([...path, 'scratchDirectory'], SCRATCH);
  }
  document.setIn(['alerts', 'port'], alertsPort);
  writeFileSync(file, document.toString({ lineWidth: 110 }));
}

/** For `. FILE` in another terminal: variables, and the programs as functions. Returns its path. */
export function writeEnvironment(
  directory: string,
  variables: Record<string, string>,
  trouble: string,
): string {
  const file = join(directory, 'sample.env');
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  // So that every command that is printed works as it is, in the clone and from the package, in any folder.
  const programs = { runbooks: join(PACKAGE_ROOT, 'dist/src/cli/main.js'), trouble };
  for (const [name, path] of Object.entries(programs))
    lines.push(`${name}() { '${process.execPath}' '${path}' "$@"; }\n`);
  writeFileSync(file, lines.join(''), { mode: 0o600 });
  return file;
}

/** Made where it is missing. */
export function made(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}
