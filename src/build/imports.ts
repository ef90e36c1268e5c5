import { builtinModules } from 'node:module';
import { isAbsolute, relative, sep } from 'node:path';
import { PACKAGE_ROOT } from '../config/version';

/** What a workflow asks for that is not there in its sandbox. */
const BUILT_INS = builtinModules.filter((name) => !['assert', 'url', 'util'].includes(name));
const NODE_SIDE = [
  'durable-runbooks',
  'durable-runbooks/activity',
  'durable-runbooks/worker',
  'durable-runbooks/testing',
  ...['activity', 'client', 'worker', 'testing'].map((name) => `@temporalio/${name}`),
];

/** One import as webpack meets it: by which file, of what. */
interface Edge {
  from: string;
  request: string;
}

/** What was found while bundling. */
export interface Imports {
  edges: Edge[];
  /** Which file asked for a file first. */
  issuers: Map<string, string>;
  /** Every file that became part of the bundle. */
  files: Set<string>;
  /** What webpack could not do, in its own words. */
  errors: string[];
}

interface Compilation {
  errors: Error[];
  modules: Iterable<{ resource?: string }>;
  moduleGraph: { getIssuer(module: unknown): { resource?: string } | null | undefined };
}

/** The part of webpack's compiler that is used here. */
interface Compiler {
  hooks: {
    normalModuleFactory: Tap<{
      hooks: { beforeResolve: Tap<{ request: string; contextInfo: { issuer: string } }> };
    }>;
    done: Tap<{ compilation: Compilation }>;
  };
}
interface Tap<T> {
  tap(name: string, listener: (value: T) => void): void;
}

/** A webpack plugin that writes down who imports what. */
export function recordImports(): { imports: Imports; plugin: { apply(compiler: Compiler): void } } {
  const imports: Imports = { edges: [], issuers: new Map(), files: new Set(), errors: [] };
  const name = 'runbooks-imports';
  return {
    imports,
    plugin: {
      apply({ hooks }) {
        hooks.normalModuleFactory.tap(name, (factory) =>
          factory.hooks.beforeResolve.tap(name, ({ request, contextInfo }) => {
            imports.edges.push({ from: contextInfo.issuer, request });
          }),
        );
        hooks.done.tap(name, ({ compilation }) => readModules(compilation, imports));
      },
    },
  };
}

function readModules(compilation: Compilation, { files, issuers, errors }: Imports): void {
  for (const module of compilation.modules) {
    const { resource } = module;
    if (resource === undefined || !isAbsolute(resource)) continue;
    files.add(resource);
    const issuer = compilation.moduleGraph.getIssuer(module)?.resource;
    if (issuer !== undefined) issuers.set(resource, issuer);
  }
  errors.push(...compilation.errors.map(({ message }) => message));
}

/** Sentences about imports that a workflow must not have; each names the file and what it imports. */
export function importProblems({ edges, issuers, errors }: Imports, base: string): string[] {
  const shown = (file: string): string => (isWithin(base, file) ? relative(base, file) : file);
  const bad = edges.filter(({ from, request }) => whyNot(request) !== undefined && !isOurs(from));
  const forbidden = bad.map(({ from, request }) => {
    const chain = [from];
    for (let at = issuers.get(from); at !== undefined && !isOurs(at) && !isEntry(at); at = issuers.get(at))
      chain.unshift(at);
    const [file = from, ...through] = chain.map(shown);
    const by = through.length === 0 ? '' : `, by way of ${through.join(' and ')}`;
    return `${file} imports \`${request}\`${by}: ${whyNot(request)}`;
  });
  if (forbidden.length > 0) return [...new Set(forbidden)];
  return errors.map((error) => error.split('\n').slice(0, 2).join(': '));
}

function whyNot(request: string): string | undefined {
  const name = request.replace(/^node:/, '');
  if (BUILT_INS.includes(name) || request.startsWith('node:'))
    return 'a workflow runs in a sandbox without the built-in modules of Node. Do it in an activity, and call that';
  if (NODE_SIDE.includes(request))
    return 'that is code for Node, and a workflow runs in a sandbox. Import only the type (`import type`), and call activities through `run.step`';
  return undefined;
}

const isEntry = (file: string): boolean => /entry(point)?\.c?js$/.test(file);
const isOurs = (file: string): boolean =>
  file === '' ||
  isEntry(file) ||
  /[\\/]@temporalio[\\/]/.test(file) ||
  (isWithin(PACKAGE_ROOT, file) &&
    !isWithin(`${PACKAGE_ROOT}${sep}examples`, file) &&
    !file.includes('test'));
const isWithin = (folder: string, file: string): boolean => {
  const path = relative(folder, file);
  return path !== '' && !path.startsWith('..') && !isAbsolute(path);
};
