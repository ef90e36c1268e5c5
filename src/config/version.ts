import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Root folder of the installed package: the nearest one upwards with our package.json. */
export const PACKAGE_ROOT = findRoot(__dirname);

/** Version in package.json. */
export const VERSION = (
  JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }
).version;

function findRoot(from: string): string {
  try {
    const { name } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { name?: string };
    if (name === 'durable-runbooks') return from;
  } catch {
    // No package.json here: look further up.
  }
  const parent = dirname(from);
  if (parent === from) throw new Error('the package folder of durable-runbooks was not found');
  return findRoot(parent);
}
