import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { rooms, sandboxSafe } from '../scripts/rooms.cjs';
import { PACKAGE_ROOT } from '../src/config/version';

const src = join(PACKAGE_ROOT, 'src');
const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'src'], { cwd: PACKAGE_ROOT })
  .toString()
  .split('\n')
  .filter((file) => /\.tsx?$/.test(file) && existsSync(join(PACKAGE_ROOT, file)));

const isIn = (room: string, file: string) => file.startsWith(`src/${room}/`);

/** Files that a file imports as values, as paths below the package. */
function importsOf(file: string): { local: string[]; packages: string[] } {
  const source = ts.createSourceFile(file, readFileSync(join(PACKAGE_ROOT, file), 'utf8'), 99, true);
  const local: string[] = [];
  const packages: string[] = [];
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    if (statement.moduleSpecifier === undefined || isTypeOnly(statement)) continue;
    const name = (statement.moduleSpecifier as ts.StringLiteral).text;
    if (!name.startsWith('.')) packages.push(name);
    else local.push(found(resolve(PACKAGE_ROOT, dirname(file), name)));
  }
  return { local, packages };
}

function isTypeOnly(statement: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(statement)) {
    const named = statement.exportClause;
    const all =
      named !== undefined && ts.isNamedExports(named) && named.elements.every((one) => one.isTypeOnly);
    return statement.isTypeOnly || all;
  }
  const clause = statement.importClause;
  if (clause === undefined) return false;
  const named = clause.namedBindings;
  return (
    clause.isTypeOnly ||
    (clause.name === undefined &&
      named !== undefined &&
      ts.isNamedImports(named) &&
      named.elements.every((one) => one.isTypeOnly))
  );
}

function found(path: string): string {
  const candidates = [path, `${path}.ts`, `${path}.tsx`, join(path, 'index.ts')];
  const file = candidates.find((one) => existsSync(one) && statSync(one).isFile());
  if (file === undefined) throw new Error(`nothing at ${path}`);
  return relative(PACKAGE_ROOT, file);
}

/** What the linter says about the zones when that file has that import. */
function lint(file: string, code: string): string[] {
  const script = `
    import { ESLint } from 'eslint';
    import { createNodeResolver, importX } from 'eslint-plugin-import-x';
    import tseslint from 'typescript-eslint';
    import { zones } from './scripts/rooms.cjs';
    const eslint = new ESLint({
      overrideConfigFile: true,
      overrideConfig: {
        files: ['**/*.ts'],
        languageOptions: { parser: tseslint.parser },
        plugins: { 'import-x': importX },
        settings: { 'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.tsx'] })] },
        rules: { 'import-x/no-restricted-paths': ['error', { zones }] },
      },
    });
    const [{ messages }] = await eslint.lintText(${JSON.stringify(code)}, { filePath: ${JSON.stringify(file)} });
    console.log(JSON.stringify(messages.map(({ message }) => message)));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: PACKAGE_ROOT });
  return JSON.parse(output.toString()) as string[];
}

it('has a room for every file', () => {
  expect(tracked.length).toBeGreaterThan(200);
  expect(tracked.filter((file) => !rooms.some((room) => isIn(room, file)))).toEqual([]);
});

it('has no empty room', () => {
  expect(rooms.filter((room) => !tracked.some((file) => isIn(room, file)))).toEqual([]);
});

it('reaches from the workflows only what may be in the sandbox', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const queue = [relative(PACKAGE_ROOT, join(src, 'workflows', 'index.ts'))];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const { local, packages: named } = importsOf(file);
    queue.push(...local);
    for (const name of named) packages.add(name);
  }
  expect(seen.size).toBeGreaterThan(50);
  expect([...seen].filter((file) => !sandboxSafe.some((room) => isIn(room, file)))).toEqual([]);
  expect([...seen].filter((file) => /\/(card|inputs)\.ts$/.test(file))).toEqual([]);
  expect([...packages].sort()).toEqual([
    '@noble/hashes/sha2',
    '@noble/hashes/utils',
    '@temporalio/common',
    '@temporalio/workflow',
  ]);
});

it.each([
  [
    'src/contract/x.ts',
    "import { fail } from '../activities/support/failure';",
    /src\/contract imports only/,
  ],
  ['src/config/x.ts', "import type { Card } from '../catalogue/card';", /src\/config imports only/],
  [
    'src/activities/support/x.ts',
    "import { withClient } from '../postgres/session/connection';",
    /imports only/,
  ],
  [
    'src/activities/notifications/x.ts',
    "import { sh } from '../deployments/deployment-list';",
    /no other system/,
  ],
  ['src/workflows/kit/x.ts', "import { guard } from '../guard/guard';", /src\/workflows\/kit imports only/],
  ['src/check/x.ts', "import { x } from '../cli/connect';", /src\/check imports only/],
])('refuses %s: %s', (file, code, why) => {
  const messages = lint(file, code);
  expect(messages).toHaveLength(1);
  expect(messages[0]).toMatch(why);
});

it('lets a system use the session of PostgreSQL, and a later room an earlier one', () => {
  expect(lint('src/activities/application/x.ts', "import { x } from '../postgres/session/fence';")).toEqual(
    [],
  );
  expect(lint('src/workflows/database/x.ts', "import { x } from '../kit/run';")).toEqual([]);
});
