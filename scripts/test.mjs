/**
 * `npm test`: sets up what is missing, obtains what the tests run against, runs them, and ends with the line
 * `N passed, N failed, N skipped` from the runner's own counts. Arguments go on to Jest.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, runScript, SetupError, setUp } from './setup.mjs';

const require = createRequire(import.meta.url);

await runScript(async () => {
  await setUp();
  const { prepare } = require(join(root, 'dist', 'src', 'local', 'prepare.js'));
  await prepare((line) => process.stderr.write(`${line}\n`)).catch((error) => {
    throw new SetupError(error.message);
  });
  const folder = mkdtempSync(join(tmpdir(), 'runbooks-test-'));
  try {
    const file = join(folder, 'results.json');
    const status = await jest(['--json', `--outputFile=${file}`, ...process.argv.slice(2)]);
    const { passed, failed, skipped } = count(file);
    // Nothing run is no success, whatever the runner thinks of it.
    process.exitCode = status === 0 && failed === 0 && passed > 0 ? 0 : 1;
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function jest(args) {
  const child = spawn(process.execPath, [require.resolve('jest/bin/jest'), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

/** Counts of one run. A suite that failed outside its tests (it did not load, a hook broke) counts as one failure. */
function count(file) {
  let results;
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new SetupError('Jest ended without writing its results: see its output above.');
  }
  const brokenSuites = results.testResults.filter(
    (suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + brokenSuites.length,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}
