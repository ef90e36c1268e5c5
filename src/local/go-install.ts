import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Progress } from '../host/cache';
import { logTail, spawnGuarded } from '../host/guardian';
import { runAsUser } from '../host/user';

export interface GoInstall {
  /** `path@version`; its last part is the name of the program. */
  module: string;
  /** Where the program goes; it appears there whole or not at all. */
  target: string;
  /** For people, e.g. `the Temporal CLI`. */
  name: string;
  progress: Progress;
}

/** Builds a program with Go. Takes minutes. Throws where there is no Go, or it fails. */
export async function goInstall({ module, target, name, progress }: GoInstall): Promise<void> {
  await runAsUser('go', ['version']).catch(() => {
    throw new Error('there is no Go on PATH');
  });
  const folder = await mkdtemp(`${target}-go-`);
  const logFile = join(folder, 'build.log');
  const program = basename(module.slice(0, module.indexOf('@')));
  const startedAt = Date.now();
  // Guarded: whoever interrupts this must not leave a compiler running for minutes.
  const build = await spawnGuarded({
    program: 'go',
    args: ['install', '-v', '-ldflags=-s -w', module],
    environment: { ...process.env, GOBIN: folder },
    // Outside of any module: what a go.mod there says is not meant.
    directory: dirname(target),
    logFile,
  });
  const timer = setInterval(() => {
    const packages = logTail(logFile, 100_000)
      .split('\n')
      .filter((line) => /^[\w.]+(\/|$)/.test(line)).length;
    const seconds = Math.round((Date.now() - startedAt) / 1_000);
    progress(`  building ${name}: ${packages} packages, ${seconds} s (takes about 4 minutes, once)`);
  }, 5_000);
  try {
    const status = await build.exited;
    if (status !== 0) throw new Error(`status ${status}: ${logTail(logFile, 3)}`);
    await chmod(join(folder, program), 0o755);
    await rename(join(folder, program), target);
  } finally {
    clearInterval(timer);
    await rm(folder, { recursive: true, force: true });
  }
}
