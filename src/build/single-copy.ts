import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { PACKAGE_ROOT } from '../config/version';
import type { Pack } from '../packs/definition/pack';

const ours = createRequire(join(PACKAGE_ROOT, 'package.json'));

/**
 * Packs that bring copies of their own of what must be there once: two copies of the kit, or of Temporal's, do not know
 * each other's runs, and fail only while one is running.
 */
export function copyProblems(packs: readonly Pack[]): string[] {
  return packs.flatMap(({ name, workflows }) => {
    if (!existsSync(workflows))
      return [`pack ${name}: its workflows ${workflows} are not there. Build the pack first`];
    if (isOfThisPackage(workflows)) return [];
    const theirs = createRequire(realpathSync(workflows));
    return ['@temporalio/workflow', 'durable-runbooks'].flatMap((dependency) => {
      const own = dependency === 'durable-runbooks' ? realpathSync(PACKAGE_ROOT) : rootOf(ours, dependency);
      const found = rootOf(theirs, dependency);
      if (found === undefined && dependency === 'durable-runbooks')
        return [
          `pack ${name} does not find durable-runbooks from ${dirname(workflows)}. Make it a peerDependency of the pack, and install it beside it (npm install durable-runbooks)`,
        ];
      if (found === undefined || found === own) return [];
      return [
        `pack ${name} has a copy of ${dependency} of its own (${found}; ours is ${own}). Make it an optional peerDependency of the pack and no other dependency of it, remove that folder, and install again`,
      ];
    });
  });
}

/** Code of this package, such as its examples, finds it by its own name. */
function isOfThisPackage(file: string): boolean {
  const path = relative(realpathSync(PACKAGE_ROOT), realpathSync(file));
  return !path.startsWith('..') && !path.split(sep).includes('node_modules');
}

/** The real folder of an installed package, whatever it lets others import. */
function rootOf(from: NodeJS.Require, dependency: string): string | undefined {
  for (const folder of from.resolve.paths(dependency) ?? []) {
    const root = join(folder, dependency);
    if (existsSync(join(root, 'package.json'))) return realpathSync(root);
  }
  return undefined;
}
