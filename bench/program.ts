import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { request } from 'undici';
import { PACKAGE_ROOT } from '../src/config/version';

/** A process of ours that is measured. */
export type Program = ChildProcess;

const START_MS = 60_000;

/** Starts the `runbooks` command and returns when `readyUrl` answers 2xx. */
export async function startProgram(args: string[], readyUrl: string): Promise<Program> {
  const program = spawn(process.execPath, [join(PACKAGE_ROOT, 'dist', 'src', 'cli', 'main.js'), ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const deadline = Date.now() + START_MS;
  for (;;) {
    const ready = await request(readyUrl).then(
      ({ statusCode, body }) => body.dump().then(() => statusCode < 300),
      () => false,
    );
    if (ready) return program;
    if (program.exitCode !== null || Date.now() > deadline)
      throw new Error(`runbooks ${args.join(' ')} never became ready`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Resident memory of a process now, in millions of bytes. */
export async function memoryOf({ pid }: Program): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]);
  return (Number(stdout) * 1_024) / 1e6;
}

/** The most that was seen until it is asked, looking twice a second. */
export function watchMemory(program: Program): () => number {
  let peak = 0;
  const look = () =>
    void memoryOf(program).then(
      (now) => (peak = Math.max(peak, now)),
      () => undefined,
    );
  const timer = setInterval(look, 500).unref();
  return () => {
    clearInterval(timer);
    return peak;
  };
}

/** Ends it as its owner would; what does not end within 20 s is killed. */
export async function endProgram(program: Program): Promise<void> {
  if (program.exitCode !== null) return;
  const gone = new Promise((resolve) => program.once('exit', resolve));
  program.kill('SIGTERM');
  const timer = setTimeout(() => program.kill('SIGKILL'), 20_000);
  await gone;
  clearTimeout(timer);
}

/** A worker in a process of its own, from what was built; returns when it takes work. */
export async function startWorker({ configFile }: { configFile: string }): Promise<Program> {
  const main = join(PACKAGE_ROOT, 'dist', 'src', 'worker', 'main.js');
  const worker = spawn(process.execPath, [main, configFile], { stdio: ['ignore', 'pipe', 'ignore'] });
  // Also when the bench is interrupted.
  process.once('exit', () => worker.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    worker.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)));
    createInterface(worker.stdout).on('line', (line) => line.includes('listens on') && resolve());
  });
  return worker;
}
