import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { rooms, sandboxSafe } from '../scripts/rooms.cjs';
import { PACKAGE_ROOT } from '../src/config/version';
import { ownPacks } from '../src/packs/own';

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

/** What the linter says about the zones when each file has that import. */
function lintAll(files: (readonly [file: string, code: string])[]): string[] {
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
    const found = [];
    for (const [filePath, code] of ${JSON.stringify(files)}) {
      const [{ messages }] = await eslint.lintText(code, { filePath });
      found.push(messages.map(({ message }) => message).join());
    }
    console.log(JSON.stringify(found));`;
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
  const queue = ownPacks.map(({ workflows }) => relative(PACKAGE_ROOT, workflows));
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

const REFUSED = [
  ['src/contract/x.ts', '../activities/support/failure', 'src/contract imports only'],
  ['src/config/x.ts', '../catalogue/card', 'src/config imports only'],
  ['src/activities/support/x.ts', '../postgres/session/fence', 'src/activities/support imports only'],
  ['src/activities/notifications/x.ts', '../deployments/deployment-list', 'A system knows no other system'],
  ['src/workflows/kit/x.ts', '../guard/guard', 'src/workflows/kit imports only'],
  ['src/check/x.ts', '../cli/connect', 'src/check imports only'],
  ['src/workflows/database/x.ts', '../kit/run', 'through its index only'],
  ['src/workflows/database/x/x.ts', '../../kit/run', 'through its index only'],
  ['src/workflows/guard/x.ts', '../kit/state', 'through its index only'],
  ['src/cli/x.ts', '../workflows/kit/run', 'through its index only'],
  ['examples/booking/x.ts', '../index', 'An example knows no other'],
  ['examples/shared/x.ts', '../booking/files', 'An example knows no other'],
  ['examples/booking/x.ts', '../../src/host/guardian', 'none of our code'],
  ['src/worker/x.ts', '../../examples/index', 'Only the embedded stack'],
  ['src/packs/application.ts', './definition/pack', 'Our own packs use the public doors'],
  ['src/packs/incidents.ts', '../config/schema', 'Our own packs use the public doors'],
  ['src/workflows/database/x/card.ts', '../../../catalogue/card', 'Our own packs use the public doors'],
] as const;

/** A file of this room, and of none that lies within it. */
const fileIn = (room: string) =>
  tracked.find(
    (file) => rooms.filter((one) => isIn(one, file)).sort((a, b) => b.length - a.length)[0] === room,
  )!;
const importing = (file: string, what: string) => relative(dirname(file), what).replace(/\.tsx?$/, '');
/** What stands in each room and comes from the next one. */
const NEXT = rooms.slice(0, -1).map((room, index) => {
  const file = `src/${room}/x.ts`;
  return [file, importing(file, fileIn(rooms[index + 1]!)), `src/${room} imports only`] as const;
});

const ALLOWED = [
  ['src/activities/application/x.ts', '../postgres/session/fence'],
  ['src/workflows/database/x.ts', '../kit'],
  ['src/workflows/guard/x.ts', '../kit/presets'],
  ['examples/booking/x.ts', '../shared/files'],
  ['src/local/x.ts', '../../examples/index'],
] as const;

it('makes the linter refuse an import from a later room, or from another system', () => {
  const refused = [...REFUSED, ...NEXT];
  const said = lintAll(
    [...refused, ...ALLOWED].map(([file, from]) => [file, `import { x } from '${from}';`]),
  );
  expect(said.slice(refused.length)).toEqual(ALLOWED.map(() => ''));
  for (const [index, [file, , why]] of refused.entries())
    expect([file, said[index]]).toEqual([file, expect.stringContaining(why)]);
});
