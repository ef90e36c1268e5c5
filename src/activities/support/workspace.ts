import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'durable-runbooks-';

/** A temporary folder. Whoever makes it removes it; where that is killed, a sweep does. */
export async function makeWorkspace(): Promise<string> {
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Another one may have got the ID of a dead process, and processes of another container are not seen from here. */
const OLD_MS = 24 * 3_600_000;
const YOUNG_MS = 3_600_000;

/** Removes the temporary folders of workers that were killed. Returns how many. */
export async function sweepWorkspaces(): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpdir()).catch(() => [] as string[])) {
    const owner = new RegExp(`^${PREFIX}(?:(\\d+)-)?[A-Za-z0-9]{6}$`).exec(name);
    if (owner === null) continue;
    const path = join(tmpdir(), name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age < YOUNG_MS || (age < OLD_MS && isAlive(Number(owner[1])))) continue;
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
