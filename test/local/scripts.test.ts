import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

const project = resolve(__dirname, '../..');
const NPM = `#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/asked"
[ ! -e "$here/broken" ] || { echo "error TS2322: no good"; exit 2; }
`;

let root: string;

/** A small project with our scripts: one source file, one dependency, and an `npm` that writes down what it is asked. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scripts-'));
  cpSync(join(project, 'scripts'), join(root, 'scripts'), { recursive: true });
  write('package.json', JSON.stringify({ engines: { node: '>=20.19' } }));
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'runbooks.schema.json']) write(name, '{}');
  write(
    'package-lock.json',
    lock({ used: { version: '1.0.0' }, elsewhere: { version: '2.0.0', optional: true } }),
  );
  write('src/index.ts', '');
  write(
    'dist/src/local/obtain-tools.js',
    'exports.obtainTools = async (progress) => progress("everything is here");',
  );
  write(
    'dist/src/cli/main.js',
    'if (require.main === module) console.log(JSON.stringify(process.argv.slice(2)));',
  );
  write('bin/npm', NPM);
  chmodSync(join(root, 'bin/npm'), 0o755);
  for (const name of ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'src/index.ts', 'src'])
    age(name, 60);
  write('dist/.built', '');
  write('node_modules/.package-lock.json', lock({ used: { version: '1.0.0' } }));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const lock = (packages: Record<string, object>) =>
  JSON.stringify({
    packages: Object.fromEntries(
      Object.entries(packages).map(([name, entry]) => [`node_modules/${name}`, entry]),
    ),
  });

function write(name: string, text: string): void {
  mkdirSync(join(root, name, '..'), { recursive: true });
  writeFileSync(join(root, name), text);
}

function age(name: string, seconds: number): void {
  const then = new Date(Date.now() - seconds * 1_000);
  utimesSync(join(root, name), then, then);
}

function script(
  name: string,
  ...args: string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  const env = { ...process.env, PATH: `${join(root, 'bin')}${delimiter}${process.env['PATH']}` };
  return new Promise((done) => {
    execFile(
      process.execPath,
      [join(root, 'scripts', name), ...args],
      { env, cwd: tmpdir() },
      (error, stdout, stderr) => done({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const asked = (): string[] =>
  existsSync(join(root, 'bin/asked')) ? readFileSync(join(root, 'bin/asked'), 'utf8').trim().split('\n') : [];

describe('the set-up', () => {
  test('does and says nothing when everything is up to date', async () => {
    expect(await script('setup.mjs')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(asked()).toEqual([]);
  });

  test.each([
    ['a source file was changed', () => write('src/index.ts', '// new')],
    ['a source file was removed', () => rmSync(join(root, 'src/index.ts'))],
    ['there is no build', () => rmSync(join(root, 'dist/.built'))],
  ])('builds when %s, and only once', async (_, change) => {
    age('dist/.built', 10);
    change();
    const first = await script('setup.mjs');
    expect(first.stderr).toContain('Building');
    await script('setup.mjs');
    expect(asked()).toEqual(['run --silent build']);
  });

  test('installs when the lock file asks for another version, or nothing is installed', async () => {
    write('package-lock.json', lock({ used: { version: '1.0.1' } }));
    age('node_modules/.package-lock.json', 10);
    await script('setup.mjs');
    rmSync(join(root, 'node_modules'), { recursive: true });
    await script('setup.mjs');
    expect(asked().filter((line) => line.startsWith('ci'))).toHaveLength(2);
  });

  test('does not install when the lock file is only younger', async () => {
    age('node_modules/.package-lock.json', 100);
    await script('setup.mjs');
    expect(asked()).toEqual([]);
  });

  test('ends with what went wrong when the build fails, and tries again the next time', async () => {
    write('bin/broken', '');
    write('src/index.ts', '// new');
    age('dist/.built', 10);
    const failed = await script('start.mjs');
    expect(failed.status).toBe(1);
    expect(failed.stdout).toBe('');
    expect(failed.stderr).toMatch(
      /error TS2322: no good[\s\S]*Building.* failed: `npm run --silent build` ended with 2\.\n$/,
    );
    await script('setup.mjs');
    expect(asked()).toHaveLength(2);
  });

  test('refuses a Node that is too old in one sentence', async () => {
    write('package.json', JSON.stringify({ engines: { node: '>=99.1' } }));
    const { status, stderr } = await script('start.mjs');
    expect(status).toBe(1);
    expect(stderr.trim()).toMatch(/^Node 99\.1 or newer is needed, this is \d+\.\d+\.\d+\. Install it.*$/);
  });
});

test('npm start hands its arguments to `runbooks up --tour`', async () => {
  const { stdout } = await script('start.mjs', '--exit');
  expect(JSON.parse(stdout)).toEqual(['up', '--tour', '--exit']);
});

describe('npm test', () => {
  beforeEach(() => {
    rmSync(join(root, 'node_modules'), { recursive: true });
    symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
    write('package-lock.json', readFileSync(join(project, 'package-lock.json'), 'utf8'));
    age('package-lock.json', 1e9);
    write(
      'jest.config.js',
      'module.exports = { testEnvironment: "node", transform: {}, roots: ["<rootDir>/test"] };',
    );
    write(
      'test/good.test.js',
      'test("one", () => {}); test("two", () => {}); test.skip("later", () => {}); test.todo("some day");',
    );
  });

  const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

  test('ends with the counts of the runner, alone on the last line', async () => {
    const { status, stdout, stderr } = await script('test.mjs');
    expect(lastLine(stdout)).toBe('2 passed, 0 failed, 2 skipped');
    expect(status).toBe(0);
    expect(stderr).toContain('everything is here');
    expect(stderr).toContain('PASS test/good.test.js');
  });

  test.each([
    ['a test fails', 'test("bad", () => { throw new Error("no"); });', '2 passed, 1 failed, 2 skipped'],
    ['a suite does not load', 'require("./nothing-here");', '2 passed, 1 failed, 2 skipped'],
    [
      'a suite breaks after its tests',
      'afterAll(() => { throw new Error("no"); }); test("ok", () => {});',
      '3 passed, 1 failed, 2 skipped',
    ],
  ])('fails when %s, and counts it', async (_, text, line) => {
    write('test/bad.test.js', text);
    const { status, stdout } = await script('test.mjs');
    expect([status, lastLine(stdout)]).toEqual([1, line]);
  });

  test('fails also when what failed would pass the next time', async () => {
    write(
      'test/late.test.js',
      `const fs = require('node:fs');
       test('late', () => {
         if (fs.existsSync(__filename + '.seen')) return;
         fs.writeFileSync(__filename + '.seen', '');
         throw new Error('too late');
       });`,
    );
    const { status, stdout } = await script('test.mjs');
    expect([status, lastLine(stdout)]).toEqual([1, '2 passed, 1 failed, 2 skipped']);
  });

  test('passes arguments on to Jest, and fails when nothing ran', async () => {
    write('test/bad.test.js', 'test("bad", () => { throw new Error("no"); });');
    const chosen = await script('test.mjs', 'test/good.test.js', '-t', 'two');
    expect([chosen.status, lastLine(chosen.stdout)]).toEqual([0, '1 passed, 0 failed, 3 skipped']);
    const none = await script('test.mjs', '--passWithNoTests', 'no-such-file');
    expect([none.status, lastLine(none.stdout)]).toEqual([1, '0 passed, 0 failed, 0 skipped']);
  });

  test('ends with the reason when something it needs cannot be obtained', async () => {
    write(
      'dist/src/local/obtain-tools.js',
      'exports.obtainTools = async () => { throw new Error("No PostgreSQL was found. Install it."); };',
    );
    age('dist/.built', -10);
    const { status, stderr, stdout } = await script('test.mjs');
    expect([status, lastLine(stderr), stdout]).toEqual([1, 'No PostgreSQL was found. Install it.', '']);
  });
});

describe('.ci/run', () => {
  const COUNTS = '3 passed, 0 failed, 1 skipped';

  /** Our script with an `npm` whose parts end as given, and an `id` that keeps it from installing packages. */
  function ci(parts: { lint?: number; types?: number; tests?: number; prints?: string }) {
    cpSync(join(project, '.ci'), join(root, '.ci'), { recursive: true });
    write('bin/id', '#!/bin/sh\necho 1000\n');
    const cases = [
      `*lint*) exit ${parts.lint ?? 0};;`,
      `*typecheck*) exit ${parts.types ?? 0};;`,
      `test) printf '%s\\n' '${parts.prints ?? COUNTS}' 'npm error of sorts' >&2; exit ${parts.tests ?? 0};;`,
    ];
    write('bin/npm', `#!/bin/sh\ncase "$*" in ${cases.join(' ')} esac\n`);
    for (const name of ['bin/id', 'bin/npm']) chmodSync(join(root, name), 0o755);
    const env = { ...process.env, PATH: `${join(root, 'bin')}${delimiter}${process.env['PATH']}` };
    return new Promise<[number, string, string]>((done) => {
      execFile('bash', [join(root, '.ci/run')], { env }, (error, stdout) =>
        done([error === null ? 0 : Number(error.code), stdout.trimEnd().split('\n').at(-1) ?? '', stdout]),
      );
    });
  }

  test('ends with the counts as its last line and status 0 when all is well', async () => {
    expect((await ci({})).slice(0, 2)).toEqual([0, COUNTS]);
  });

  test.each([
    ['lint', { lint: 1 }],
    ['types', { types: 2 }],
    ['tests', { tests: 1 }],
  ])('fails when %s fail, says which, and still ends with the counts', async (name, parts) => {
    const [status, last, stdout] = await ci(parts);
    expect([status, last]).toEqual([1, COUNTS]);
    expect(stdout).toContain(`failed: ${name}\n`);
  });

  test('fails when the tests end without counts, whatever their status', async () => {
    expect(await ci({ prints: 'all fine' })).toEqual([
      1,
      'the tests ended without a result',
      expect.any(String),
    ]);
  });
});
