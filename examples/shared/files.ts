import { existsSync } from 'node:fs';
import { join } from 'node:path';

// Compiled code runs in dist/examples/shared, where the SQL and YAML beside the sources are not copied to.
const SOURCES = [join(__dirname, '..'), join(__dirname, '../../../examples')];
const COMPILED = [join(__dirname, '..'), join(__dirname, '../../dist/examples')];

/** Path of a file of an example that is not code, e.g. `schema.sql`. Throws where the package is incomplete. */
export function exampleFile(example: string, name: string): string {
  const found = SOURCES.map((folder) => join(folder, example, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`The example ${example} lacks ${name}. Install the package again.`);
  return found;
}

/** Path of a program of an example, e.g. `trouble.js`, as compiled JavaScript. It exists after `npm run build`. */
export function exampleProgram(example: string, name: string): string {
  const paths = COMPILED.map((folder) => join(folder, example, name));
  return paths.find((path) => existsSync(path)) ?? paths.at(-1)!;
}
