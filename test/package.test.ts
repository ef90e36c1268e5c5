import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../src/config/version';

const run = promisify(execFile);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runbooks-package-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed tarball', () => {
  it('installs and runs in an empty folder', async () => {
    const { stdout: packed } = await run(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
      { cwd: PACKAGE_ROOT, maxBuffer: 64 * 1024 * 1024 },
    );
    const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    expect(paths).toContain('dist/src/build/workflows.bundle.js');
    expect(paths).toContain('dist/examples/booking/smoke.js');
    expect(paths.filter((path) => /^(test|bench|src|node_modules)\//.test(path))).toEqual([]);

    writeFileSync(join(folder, 'package.json'), '{"name":"empty","private":true}');
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, filename)], {
      cwd: folder,
    });

    const runbooks = (...args: string[]) =>
      run(process.execPath, [join(folder, 'node_modules/.bin/runbooks'), ...args], { cwd: folder });
    expect((await runbooks('list')).stdout).toMatch(/migrateDatabase/);
    expect((await runbooks('describe', 'drillRestore')).stdout).toMatch(/recoveryPoint/);
    await runbooks('init', '--service', 'shop');
    expect(readFileSync(join(folder, 'runbooks.yaml'), 'utf8')).toMatch(/shop/);
    // Nothing is configured and nothing runs there: the worker must say so and end, not hang or crash.
    await expect(runbooks('worker')).rejects.toMatchObject({ code: expect.any(Number) as unknown });
  });
});
