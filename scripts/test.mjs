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
  const { obtainTools } = require(join(root, 'dist', 'src', 'local', 'obtain-tools.js'));
  await obtainTools((line) => process.stderr.write(`${line}\n`)).catch((error) => {
    throw new SetupError(error.message);
  });
  const folder = mkdtempSync(join(tmpdir(), 'runbooks-test-'));
  try {
    const suites = await runSuites(join(folder, 'results.json'), process.argv.slice(2));
    const { passed, failed, skipped } = count(suites);
    // Nothing run is no success, whatever the runner thinks of it.
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Runs Jest and returns its suites. Throws when it ended without results, or failed without saying where. */
async function runSuites(file, args) {
  const status = await jest(['--json', `--outputFile=${file}`, ...args]);
  let suites;
  try {
    suites = JSON.parse(readFileSync(file, 'utf8')).testResults;
  } catch {
    throw new SetupError('Jest ended without writing its results: see its output above.');
  }
  if (status !== 0 && suites.length > 0 && !suites.some(hasFailed))
    throw new SetupError(`Jest ended with ${status} though no test failed: see its output above.`);
  return suites;
}

function jest(args) {
  const child = spawn(process.execPath, [require.resolve('jest/bin/jest'), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

function hasFailed({ status }) {
  return status === 'failed';
}

/** Counts of all tests. A suite that failed outside its tests (it did not load, a hook broke) counts as one failure. */
function count(suites) {
  const tests = suites.flatMap(({ assertionResults }) => assertionResults);
  const having = (...states) => tests.filter(({ status }) => states.includes(status)).length;
  const broken = suites.filter(
    (suite) => hasFailed(suite) && !suite.assertionResults.some(({ status }) => status === 'failed'),
  );
  return {
    passed: having('passed'),
    failed: having('failed') + broken.length,
    skipped: having('pending', 'skipped', 'todo', 'disabled'),
  };
}
