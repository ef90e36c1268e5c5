import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { bundleWorkflowCode, type Logger } from '@temporalio/worker';
import { PACKAGE_ROOT } from '../config/version';
import { PackError, type Pack } from '../packs/definition/pack';
import { entryOf } from './entry';
import { importProblems, isEntry, recordImports } from './imports';
import { procedureProblems } from './inspect';
import { copyProblems } from './single-copy';

/** Workflow code of several packs in one, and what it was made of. */
export interface BuiltBundle {
  code: string;
  /** Absolute paths of every file in it, but for the entry. */
  inputs: string[];
}

export interface BundlePlace {
  /** Where the module is written that re-exports the workflows. */
  entry: string;
  /** Folder that the names inside the bundle are relative to, so that one release is the same bundle on every host. */
  context: string;
  /** Packs that come with this package: nothing of theirs is checked for a second copy. */
  own: readonly Pack[];
}

const nothing = (): void => undefined;
const silent: Logger = {
  log: nothing,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};

/** Bundles the workflows of these packs. Throws PackError with what must be put right first. */
export async function bundlePacks(
  packs: readonly Pack[],
  { entry, context, own }: BundlePlace,
): Promise<BuiltBundle> {
  refuse(copyProblems(packs.filter((pack) => !own.includes(pack))));
  mkdirSync(dirname(entry), { recursive: true });
  writeFileSync(
    entry,
    entryOf(packs, ({ workflows }) => asRequest(relative(dirname(entry), workflows))),
  );
  const { imports, plugin } = recordImports();
  const { code } = await bundleWorkflowCode({
    workflowsPath: entry,
    failureConverterPath: require.resolve('../workflows/kit/failure-converter'),
    // Evaluated once for a worker and not again for each run; the SDK freezes them. Those of others may keep something in a module
    // that is of one run.
    preloadModules: packs.filter((pack) => own.includes(pack)).map(({ workflows }) => workflows),
    workflowInterceptorModules: [require.resolve('../workflows/kit/ahead-of-history')],
    logger: silent,
    webpackConfigHook: (config) => ({
      ...config,
      context,
      // The entry may lie in a cache from where no node_modules is above it.
      resolve: {
        ...config.resolve,
        modules: ['node_modules', join(PACKAGE_ROOT, 'node_modules'), dirname(PACKAGE_ROOT)],
      },
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the part of webpack's types that is used
      plugins: [...(config.plugins ?? []), plugin as any],
    }),
  }).catch((error: Error) => {
    const problems = importProblems(imports, context);
    throw new PackError(problems.length > 0 ? problems : [error.message]);
  });
  refuse(importProblems(imports, context));
  refuse(procedureProblems(code, packs));
  return { code, inputs: [...imports.files].filter((file) => !isEntry(file)).sort() };
}

function asRequest(path: string): string {
  const posix = path.replaceAll('\\', '/');
  return posix.startsWith('.') ? posix : `./${posix}`;
}

function refuse(problems: string[]): void {
  if (problems.length > 0) throw new PackError(problems);
}
