import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SystemUser } from './user';

/**
 * Runs "$@" and stops it when descriptor 3 reaches its end, which happens whenever the parent is gone, however it
 * went: the kernel closes the other end. The watcher is a process of its own, so it outlives a killed wrapper too.
 */
const WRAPPER = `
signal=$1; grace=$2; shift 2
"$@" 3>&- & child=$!
echo "$child" >&3
trap 'kill -s "$signal" "$child" 2>/dev/null' INT TERM HUP
(
  trap '' INT TERM HUP
  exec >/dev/null 2>&1
  while read -r _ <&3; do :; done
  kill -s "$signal" "$child"
  left=$grace
  while kill -0 "$child" && [ "$left" -gt 0 ]; do sleep 1; left=$((left - 1)); done
  kill -0 "$child" && kill -s KILL "$child"
  exit 0
) & watcher=$!
exec 3>&-
wait "$child"; status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
kill -s KILL "$watcher" 2>/dev/null
exit "$status"
`;

export interface GuardedOptions {
  program: string;
  args: string[];
  /** stdout and stderr are appended here. */
  logFile: string;
  directory?: string;
  environment?: NodeJS.ProcessEnv;
  user?: SystemUser;
  /** What asks the program to stop; PostgreSQL wants INT. */
  stopSignal?: 'INT' | 'TERM';
  /** Time between asking and SIGKILL. */
  graceSeconds?: number;
}

export interface Guarded {
  /** Process ID of the program itself, not of its wrapper. */
  readonly pid: number;
  /** Resolves with the exit status (128 + signal number when a signal ended it). Never rejects. */
  readonly exited: Promise<number>;
  running(): boolean;
  /** Asks it to stop, kills it after the grace time; resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash; resolves when it is gone. */
  kill(): Promise<void>;
}

/**
 * Starts a program that ends with this process, also when this process is killed with SIGKILL.
 * It gets a process group of its own: Ctrl-C reaches only us, and we stop things in order.
 * Throws when the program cannot be started at all; a program that ends at once shows in `exited`.
 */
export async function spawnGuarded(options: GuardedOptions): Promise<Guarded> {
  const signal = options.stopSignal ?? 'TERM';
  const graceSeconds = options.graceSeconds ?? 10;
  const log = openSync(options.logFile, 'a', 0o600);
  const args = ['-c', WRAPPER, 'guardian', signal, String(graceSeconds), options.program, ...options.args];
  const wrapper = spawn('/bin/sh', args, {
    cwd: options.directory,
    env: options.environment ?? process.env,
    stdio: ['ignore', log, log, 'pipe'],
    detached: true,
    ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
  });
  closeSync(log);
  let running = true;
  const exited = new Promise<number>((resolve) => {
    wrapper.once('error', () => resolve(127));
    wrapper.once('exit', (code) => resolve(code ?? 137));
  }).then((code) => {
    running = false;
    (wrapper.stdio[3] as Duplex | undefined)?.destroy();
    return code;
  });
  const pid = await readPid(wrapper, options.program);
  const send = (name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch {
      // gone already
    }
  };
  return {
    pid,
    exited,
    running: () => running,
    stop: async () => {
      send(`SIG${signal}`);
      const timer = setTimeout(() => send('SIGKILL'), graceSeconds * 1000);
      await exited;
      clearTimeout(timer);
    },
    kill: async () => {
      send('SIGKILL');
      await exited;
    },
  };
}

function readPid(wrapper: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const failed = (why: string) => reject(new Error(`${program} cannot be started: ${why}.`));
    wrapper.once('error', (error) => failed(error.message));
    wrapper.once('exit', (code) => failed(`its wrapper ended with status ${code}`));
    const pipe = wrapper.stdio[3] as Duplex;
    pipe.on('error', () => undefined); // the other end closes when the program ends
    pipe.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(Number.parseInt(text, 10));
    });
  });
}

/** A TCP port on the loopback address that nobody uses at this moment. Another process may still take it first. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      // A connection closed by the server keeps the port reserved for a minute: the kernel hands it to nobody who asks
      // for "any port", while one who asks for this port gets it.
      const client = connect({ host: '127.0.0.1', port });
      client.on('error', () => undefined);
      client.once('close', () => server.close(() => resolve(port)));
      client.resume();
    });
  });
}

/** The last lines of a log, for error messages. */
export function logTail(file: string, lines = 12): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}
