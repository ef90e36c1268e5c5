import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PackError, shapeProblems, type Pack } from './pack';

/**
 * Loads the pack that `packs:` names: a package, or a folder relative to `directory`. CommonJS or ESM.
 * Throws PackError that names it and says why it cannot be loaded.
 */
export function loadPack(specifier: string, directory: string): Pack {
  const load = createRequire(join(directory, 'runbooks.yaml'));
  let loaded: unknown;
  try {
    loaded = load(specifier);
  } catch (error) {
    throw new PackError([
      `"${specifier}" cannot be loaded: ${reasonOf(error as Error, specifier, directory)}`,
    ]);
  }
  const pack = defaultOf(loaded);
  const problems = shapeProblems(pack);
  if (problems.length > 0)
    throw new PackError([
      `"${specifier}" exports no pack as its default: ${problems.join('; ')}. Write \`export default definePack({ ... })\``,
    ]);
  return pack as Pack;
}

/** An ESM default, or the one that TypeScript compiled to CommonJS. */
function defaultOf(loaded: unknown): unknown {
  const once = (loaded as { default?: unknown } | null)?.default ?? loaded;
  return (once as { default?: unknown } | null)?.default ?? once;
}

function reasonOf(error: Error & { code?: string }, specifier: string, directory: string): string {
  const [message = ''] = String(error?.message ?? error).split('\n');
  if (error?.code !== 'MODULE_NOT_FOUND' || !message.includes(`'${specifier}'`)) return message;
  if (!specifier.startsWith('.')) return `it is not installed here. Run npm install ${specifier}`;
  const folder = resolve(directory, specifier);
  if (!existsSync(folder)) return `there is no ${folder}`;
  if (!existsSync(join(folder, 'package.json'))) return `${folder} has no package.json with a "main"`;
  return `there is nothing to load in that folder. Build it first (npm run build there), and let "main" of its package.json name what was built`;
}
