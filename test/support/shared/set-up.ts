import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnGuarded, type Guarded } from '../../../src/host/guardian';
import { isListening } from '../../../src/host/listening';
import { SOCKET_VARIABLE } from './ask';

/**
 * Jest's global set-up. What the files share is made by a process of its own, which starts when the first file asks for
 * something, so that a file that needs nothing waits for nothing. It ends with Jest, also when that is killed.
 */
async function setUp(): Promise<void> {
  const directory = mkdtempSync(join(inMemory() ? MEMORY : tmpdir(), 'runbooks-'));
  // The unprivileged user that runs PostgreSQL must get through.
  chmodSync(directory, 0o755);
  const temporary = join(directory, 't');
  mkdirSync(temporary);
  chmodSync(temporary, 0o1777);
  process.env['TMPDIR'] = temporary;
  const front = join(directory, 'ask');
  const back = join(directory, 'make');
  let maker: Promise<Guarded> | undefined;
  const sockets = new Set<Socket>();

  // Nobody speaks to that process before it listens.
  const server = createServer({ allowHalfOpen: true }, (asking) => {
    sockets.add(asking);
    asking.on('error', () => undefined);
    asking.once('close', () => sockets.delete(asking));
    maker ??= startMaker(directory, back);
    maker
      .then(() => {
        const making = connect({ path: back, allowHalfOpen: true });
        making.on('error', () => asking.destroy());
        asking.pipe(making).pipe(asking);
      })
      .catch(() => asking.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(front, resolve);
  });
  process.env[SOCKET_VARIABLE] = front;

  (globalThis as { stopShared?: () => Promise<void> }).stopShared = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await (await maker?.catch(() => undefined))?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
}

const MEMORY = '/dev/shm';
const NEEDED_BYTES = 4 * 1024 ** 3;

/**
 * There is room in memory for the temporary files. The clusters of the tests are thousands of small files, made and
 * removed all the time: a disk takes twice the time for them.
 */
function inMemory(): boolean {
  try {
    const options = new RegExp(`^\\S+ ${MEMORY} tmpfs (\\S+)`, 'm').exec(
      readFileSync('/proc/mounts', 'utf8'),
    )?.[1];
    if (options === undefined || options.split(',').includes('noexec')) return false;
    const { bavail, bsize } = statfsSync(MEMORY);
    return Math.min(bavail * bsize, freemem()) > NEEDED_BYTES;
  } catch {
    return false;
  }
}

const START_MS = 60_000;

/** Resolves when it listens. */
async function startMaker(directory: string, socket: string): Promise<Guarded> {
  const register = join(__dirname, '..', '..', 'cli', 'register.cjs');
  const maker = await spawnGuarded({
    program: process.execPath,
    args: ['-r', register, join(__dirname, 'process.ts'), directory, socket],
    logFile: join(directory, 'log'),
    graceSeconds: 20,
  });
  for (const until = Date.now() + START_MS; maker.running() && Date.now() < until;) {
    if (await isListening({ path: socket })) return maker;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await maker.kill();
  throw new Error('it does not listen');
}

export = setUp;
