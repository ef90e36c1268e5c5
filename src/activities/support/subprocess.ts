import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { createInterface } from 'node:readline';
import { currentActivity } from './heartbeat';
import { fail } from './failure';

export interface Command {
  program: string;
  args: string[];
  /** The whole environment of the child. Default: PATH, HOME and the locale only, so that no secret is inherited. */
  environment?: Record<string, string>;
  directory?: string;
  timeoutMs?: number;
  /** Default: the signal of the running activity. */
  signal?: AbortSignal;
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** Run as this user; only root can. */
  user?: { uid: number; gid: number };
  /** Text for the child's standard input; without it the input is empty. */
  input?: string;
}

export interface ProcessResult {
  exitCode: number;
  /** At most the last 4 MB. */
  stdout: string;
  /** At most the last 16 KB. */
  stderr: string;
  durationMs: number;
}

/** Of a shell that finds no such program. */
const MISSING = 127;
/** Between asking a program to end and killing it. */
export const KILL_AFTER_MS = 5_000;
const STDOUT_LIMIT = 4 * 1024 * 1024;
const STDERR_LIMIT = 16 * 1024;

/**
 * Becomes "$@", beside a watcher of its process group that kills all of it when descriptor 3 reaches its end: the kernel
 * closes the other end however the worker went. A line says that the program ended by itself. The same on Linux and macOS;
 * a parent-death signal would not reach what the program starts, nor survive a change of user.
 */
const WRAPPER = `
command -v "$1" >/dev/null 2>&1 || { echo missing >&3; exit 127; }
(trap '' INT TERM HUP; exec </dev/null >/dev/null 2>&1; read -r _ <&3 || kill -s KILL 0) &
exec "$@" 3>&-
`;

/**
 * Runs a program in a process group of its own, which ends with this process, also when this process is killed with
 * SIGKILL. On abort or timeout the whole group gets SIGTERM and 5 s later SIGKILL. A non-zero exit code is returned, not
 * thrown. Throws CommandFailed (cannot be started, timeout) and the activity's CancelledFailure.
 */
export async function runCommand(command: Command): Promise<ProcessResult> {
  const signal = command.signal ?? currentActivity().signal;
  signal.throwIfAborted();
  const startedAt = Date.now();
  const child = spawn('/bin/sh', ['-c', WRAPPER, 'sh', command.program, ...command.args], {
    cwd: command.directory,
    env: command.environment ?? minimalEnvironment(),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    ...(command.user ?? {}),
  });
  const watcher = watcherOf(child);
  // A child that does not read its input closes the pipe; that is no failure of ours.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(command.input ?? '');
  const output = collectOutput(child, command.onLine);
  const stopper = stopOn(child, signal, command.timeoutMs);
  try {
    const exitCode = await exitOf(child, command.program);
    if (await watcher.dismiss(exitCode)) throw notStarted(command.program);
    await output.ended;
    signal.throwIfAborted();
    if (stopper.timedOut()) {
      throw fail(
        'CommandFailed',
        `${command.program} ran longer than ${(command.timeoutMs ?? 0) / 1000} s and was stopped.`,
      );
    }
    return { exitCode, stdout: output.stdout(), stderr: output.stderr(), durationMs: Date.now() - startedAt };
  } finally {
    stopper.dispose();
  }
}

/** PATH, HOME and locale of the worker: what a program needs, and no secret of the worker. */
export function minimalEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  // A child's environment is the one place besides the configuration that looks at the worker's own.
  for (const name of ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'TZ', 'SystemRoot']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

function exitOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(notStarted(program, error.code === 'ENOENT' ? undefined : error.message)),
    );
    child.once('exit', (code, signalName) => resolve(code ?? (signalName === null ? 1 : 128)));
  });
}

function notStarted(program: string, why = 'the program or its folder does not exist'): Error {
  return fail('CommandFailed', `${program} could not be started: ${why}.`);
}

function watcherOf(child: ChildProcess) {
  const pipe = child.stdio[3] as Duplex;
  let missing = false;
  const ended = new Promise<void>((resolve) => pipe.once('close', () => resolve()));
  pipe.on('error', () => undefined); // nobody reads any more
  pipe.on('data', () => (missing = true));
  return {
    /** What the program left running on purpose goes on. Returns whether there was no program. */
    dismiss: async (exitCode: number): Promise<boolean> => {
      pipe.end('ended\n');
      if (exitCode === MISSING) await ended;
      return missing;
    },
  };
}

function collectOutput(child: ChildProcess, onLine: Command['onLine']) {
  const kept = { stdout: '', stderr: '' };
  const limits = { stdout: STDOUT_LIMIT, stderr: STDERR_LIMIT };
  const ends = (['stdout', 'stderr'] as const).map((name) => {
    const stream = child[name];
    if (stream === null) return Promise.resolve();
    const lines = createInterface({ input: stream, crlfDelay: Infinity });
    lines.on('line', (line) => {
      kept[name] += `${line}\n`;
      // Cut rarely: slicing at every line would be quadratic.
      if (kept[name].length > 2 * limits[name]) kept[name] = kept[name].slice(-limits[name]);
      onLine?.(line, name);
    });
    return new Promise<void>((resolve) => lines.once('close', resolve));
  });
  // A grandchild may keep the pipes open after the program ended: do not wait for it forever.
  const ended = new Promise<void>((resolve) => {
    void Promise.all(ends).then(() => resolve());
    child.once('exit', () => setTimeout(resolve, 2_000).unref());
    child.once('error', () => resolve());
  });
  return {
    ended,
    stdout: () => kept.stdout.slice(-STDOUT_LIMIT),
    stderr: () => kept.stderr.slice(-STDERR_LIMIT),
  };
}

function stopOn(child: ChildProcess, signal: AbortSignal, timeoutMs: number | undefined) {
  let timedOut = false;
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    killGroup(child, 'SIGTERM');
    killTimer ??= setTimeout(() => killGroup(child, 'SIGKILL'), KILL_AFTER_MS);
  };
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          // After a freeze timers come before the news of an exit, which this waits for.
          setImmediate(() => {
            if (hasExited(child)) return;
            timedOut = true;
            stop();
          });
        }, timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  return {
    timedOut: () => timedOut,
    dispose: () => {
      signal.removeEventListener('abort', stop);
      clearTimeout(timer);
      clearTimeout(killTimer);
      // Whatever of the group outlived the program after an abort or timeout goes now.
      if (killTimer !== undefined) killGroup(child, 'SIGKILL');
    },
  };
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function killGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // The group is already gone.
  }
}
