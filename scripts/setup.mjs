/**
 * What must be there before anything else runs: the right Node, the dependencies, the build. Built-in modules only,
 * because this runs before there is a node_modules. Everything that is up to date already is skipped.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** An error whose message is all that a person needs to see. */
export class SetupError extends Error {}

/** Checks Node, installs the dependencies, builds: each only where it is needed. Throws SetupError. */
export async function setUp() {
  checkNode();
  if (dependenciesAreStale())
    await command('Installing the dependencies (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund']);
  if (buildIsStale()) {
    const startedAt = new Date();
    await command('Building (TypeScript, workflow bundle, JSON Schema)', 'npm', ['run', '--silent', 'build']);
    writeFileSync(stamp, '');
    utimesSync(stamp, startedAt, startedAt); // what changed during the build is newer than it
  }
}

function checkNode() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new SetupError(
    `Node ${wanted} or newer is needed, this is ${process.versions.node}. Install it, e.g. with your package manager or nvm, and run this again.`,
  );
}

/** Missing, or older than the lock file and different from it in a package that matters here. */
function dependenciesAreStale() {
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  const lockFile = join(root, 'package-lock.json');
  if (!existsSync(installedFile)) return true;
  if (statSync(installedFile).mtimeMs >= statSync(lockFile).mtimeMs) return false;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  for (const [path, { version, optional, devOptional, peer }] of Object.entries(locked)) {
    if (path === '') continue;
    const mine = installed[path];
    if (mine === undefined ? !(optional || devOptional || peer) : mine.version !== version) return true;
  }
  return false;
}

const stamp = join(root, 'dist', '.built');

function buildIsStale() {
  if (!existsSync(stamp) || !existsSync(join(root, 'runbooks.schema.json'))) return true;
  const builtMs = statSync(stamp).mtimeMs;
  const files = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map((file) => join(root, file));
  for (const folder of ['src', 'examples', 'bench']) files.push(...sourcesIn(join(root, folder)));
  return files.some((file) => statSync(file).mtimeMs > builtMs);
}

/** Source files and, because a file that was removed leaves no other trace, the folders that hold them. */
function sourcesIn(folder) {
  if (!existsSync(folder)) return [];
  const inside = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : sourcesIn(path);
    return /\.(tsx?|json)$/.test(entry.name) ? [path] : [];
  });
  return [folder, ...inside];
}

/** Runs a command quietly, showing that time passes; its output is shown only when it fails. Throws SetupError. */
async function command(title, program, args) {
  const done = progress(title);
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => (output = (output + text).slice(-8_000)));
  const status = await new Promise((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve(127);
    });
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  done(status === 0);
  if (status !== 0)
    throw new SetupError(
      `${output.trimEnd()}\n\n${title} failed: \`${[program, ...args].join(' ')}\` ended with ${status}.`,
    );
}

/** Shows a title with the seconds that have passed; returns what to call at the end. */
export function progress(title) {
  const startedAt = Date.now();
  const seconds = () => `${Math.round((Date.now() - startedAt) / 1_000)} s`;
  const live = process.stderr.isTTY === true;
  process.stderr.write(live ? `${title} ...` : `${title} ...\n`);
  const timer = setInterval(
    () => process.stderr.write(live ? `\r${title} ... ${seconds()}` : `  ${seconds()}\n`),
    live ? 1_000 : 10_000,
  );
  return (ok) => {
    clearInterval(timer);
    process.stderr.write(`${live ? '\r' : ''}${title}: ${ok ? 'done' : 'failed'} in ${seconds()}\n`);
  };
}

/** Runs `main`; a failure becomes one clear message and exit status 1. */
export async function runScript(main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`\n${error instanceof SetupError ? error.message : (error?.stack ?? error)}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runScript(setUp);
