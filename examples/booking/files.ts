import { existsSync } from 'node:fs';
import { join } from 'node:path';

// Compiled code runs in dist/examples/booking, where the SQL and YAML beside the sources are not copied to.
const SOURCES = [__dirname, join(__dirname, '../../../examples/booking')];

/** Path of a file of the sample that is not code, e.g. `schema.sql`. Throws where the package is incomplete. */
export function sampleFile(name: string): string {
  const found = SOURCES.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`The booking sample lacks ${name}. Install the package again.`);
  return found;
}

/** Path of a program of the sample as compiled JavaScript. It exists after `npm run build`. */
export function sampleProgram(name: string): string {
  const here = join(__dirname, name);
  return existsSync(here) ? here : join(__dirname, '../../dist/examples/booking', name);
}
