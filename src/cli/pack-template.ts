import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { PACKAGE_ROOT, VERSION } from '../config/version';
import { CliError, EXIT } from './errors';

/** The example that is type-checked and run with this package. */
const EXAMPLE = join(PACKAGE_ROOT, 'examples', 'pack');

/**
 * Writes a pack that builds, lints and runs as it is. Returns the files that were written. Throws CliError (usage) where
 * the folder has something in it.
 */
export function writePack(folder: string, name?: string): string[] {
  const directory = resolve(folder);
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw new CliError(
      EXIT.usage,
      `${folder} is not empty, so nothing was written. Name another folder: \`runbooks pack init <folder>\`.`,
    );
  mkdirSync(directory, { recursive: true });
  cpSync(EXAMPLE, directory, { recursive: true });
  const made: Record<string, string> = {
    'package.json': json(packageOf(name ?? packageName(directory), isWithinApplication(directory))),
    'tsconfig.json': json(TSCONFIG),
    'eslint.config.mjs': ESLINT,
    '.gitignore': 'node_modules/\ndist/\n.durable-runbooks/\n',
  };
  for (const [file, text] of Object.entries(made)) writeFileSync(join(directory, file), text);
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, join(entry.parentPath, entry.name).slice(directory.length + 1)))
    .sort();
}

function packageName(directory: string): string {
  return (
    basename(directory)
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, '-') || 'runbooks'
  );
}

/** Whether a folder above has the package installed: then the pack must not bring a copy of its own. */
function isWithinApplication(directory: string): boolean {
  try {
    createRequire(join(directory, 'package.json')).resolve('durable-runbooks/package.json');
    return true;
  } catch {
    return false;
  }
}

function packageOf(name: string, withinApplication: boolean) {
  return {
    name,
    version: '0.1.0',
    private: true,
    main: 'dist/index.js',
    types: 'dist/index.d.ts',
    files: ['dist'],
    scripts: {
      build: 'tsc',
      lint: 'eslint src && runbooks build',
      test: 'node --test dist/*.test.js',
    },
    // Not a dependency: there must be one copy, and that is the worker's.
    peerDependencies: { 'durable-runbooks': `^${VERSION}` },
    // npm installs a peer that is not optional, also where a folder above has it.
    ...(withinApplication ? { peerDependenciesMeta: { 'durable-runbooks': { optional: true } } } : {}),
    devDependencies: {
      '@types/node': '^20.19.43',
      ...(withinApplication ? {} : { 'durable-runbooks': `^${VERSION}` }),
      eslint: '^10.15.0',
      typescript: '~5.9.0',
      'typescript-eslint': '^8.73.0',
    },
  };
}

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023',
    module: 'Node16',
    strict: true,
    skipLibCheck: true,
    declaration: true,
    sourceMap: true,
    rootDir: 'src',
    outDir: 'dist',
    types: ['node'],
  },
  include: ['src'],
};

const ESLINT = `import tseslint from 'typescript-eslint';

export default tseslint.config({
  files: ['src/**/*.ts'],
  extends: [tseslint.configs.base],
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  rules: {
    // A promise that nobody waits for is work that a run does not know of.
    '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test'] }] }],
    // A value of the Node side in a procedure would come along into the sandbox.
    '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
  },
});
`;

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
