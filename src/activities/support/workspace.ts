import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeDeadLock } from '../../host/file-lock';

const PREFIX = 'durable-runbooks-';
/** Of a command that is not to run twice at once, with what is on its way to become one. */
const LOCK = new RegExp(`^${PREFIX}command-[0-9a-f]{20}\\.lock(?:\\.[0-9a-f-]{36}(?:\\.broken)?)?$`);

/** The lock of what `key` names. */
export function commandLock(key: string): string {
  const name = createHash('sha256').update(key).digest('hex').slice(0, 20);
  return join(tmpdir(), `${PREFIX}command-${name}.lock`);
}

/** A temporary folder. Whoever makes it removes it; where that is killed, a sweep does. */
export async function makeWorkspace(): Promise<string> {
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Another one may have got the ID of a dead process, and processes of another container are not seen from here. */
const OLD_MS = 24 * 3_600_000;
const YOUNG_MS = 3_600_000;

/** Removes the temporary folders, and the locks of commands, of workers that were killed. Returns how many. */
export async function sweepWorkspaces(): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpdir()).catch(() => [] as string[])) {
    const owner = new RegExp(`^${PREFIX}(?:(\\d+)-)?[A-Za-z0-9]{6}$`).exec(name);
    const isLock = LOCK.test(name);
    if (owner === null && !isLock) continue;
    const path = join(tmpdir(), name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age < YOUNG_MS) continue;
    // However old: a command may take days, and a second one must not run beside it.
    if (isLock && (await removeDeadLock(path).catch(() => false))) removed += 1;
    if (owner === null || (age < OLD_MS && isAlive(Number(owner[1])))) continue;
    await rm(path, { recursive: true, force: true }).then(
      () => (removed += 1),
      // Somebody else's on this machine.
      () => undefined,
    );
  }
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
