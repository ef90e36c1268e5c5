import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/config/version';
import { until } from '../support/postgres';
import type { Driver, Ended } from './harness';

export interface WorkerProcess {
  readonly pid: number;
  /** SIGKILL: what a crash looks like. */
  kill(): Promise<void>;
  /** SIGSTOP: it is there and does nothing. */
  freeze(): void;
  /** SIGCONT: it goes on where it was. */
  thaw(): void;
  /** How it ended, with the end of what it said; never rejects. */
  readonly exited: Promise<string>;
  /** SIGTERM: finishes what it has accepted, within ten seconds. */
  stop(): Promise<void>;
}

/** It neither listens nor ends. */
export class WorkerHangs extends Error {}

const START_MS = 120_000;
const SAID_BYTES = 2_000;

/** Starts `runbooks worker` as a process of its own, as in production, and waits until it listens. */
export async function startWorkerProcess(configFile: string): Promise<WorkerProcess> {
  const child = spawn(
    process.execPath,
    [join(PACKAGE_ROOT, 'dist', 'src', 'worker', 'main.js'), configFile],
    {
      // Jest's own copy of the environment is the one that knows the databases.
      env: process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  // Also when the tests are interrupted.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (text: Buffer) => (log += text.toString()));
    child.stdout.on('data', (text: Buffer) => {
      log += text.toString();
      if (log.includes('listens on task queue')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the worker ended with ${code}: ${log}`)));
    setTimeout(() => {
      reject(new WorkerHangs(`the worker did not listen within ${START_MS / 1_000} s: ${log}`));
    }, START_MS).unref();
  }).catch((error: Error) => {
    kill();
    throw error;
  });
  const exited = new Promise<string>((resolve) =>
    child.once('exit', (code, signal) => resolve(`ended with ${code ?? signal}: ${log.slice(-SAID_BYTES)}`)),
  );
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = exitOf(child);
    child.kill(signal);
    await gone;
  };
  return {
    pid: child.pid!,
    kill: () => end('SIGKILL'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    exited,
    stop: async () => {
      // Told again it does not wait for its steps.
      const impatient = setTimeout(() => child.kill('SIGTERM'), 10_000);
      await end('SIGTERM');
      clearTimeout(impatient);
    },
  };
}

/** Kills a worker once `isAtIt`, and starts another one in its place. */
export async function killDuring(
  worker: WorkerProcess,
  configFile: string,
  isAtIt: () => boolean | Promise<boolean>,
): Promise<WorkerProcess> {
  await until(isAtIt);
  await worker.kill();
  return startWorkerProcess(configFile);
}

/** Runs a runbook on workers of the configuration file, of which the first is killed once `isAtIt`. */
export async function runThroughKill(
  { stack: { configFile }, start, end }: Driver,
  runbook: string,
  isAtIt: () => boolean | Promise<boolean>,
): Promise<Ended> {
  let worker = await startWorkerProcess(configFile);
  try {
    const handle = await start(runbook);
    worker = await killDuring(worker, configFile, isAtIt);
    return await end(handle);
  } finally {
    await worker.stop();
  }
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()));
}
