import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

interface Holder {
  id: string;
  pid: number;
  /** Tells the process from another one that got its ID later. */
  startedAt: string;
}

/** Somebody else holds the lock, and alive. */
export class LockHeld extends Error {
  constructor(
    readonly path: string,
    readonly pid: number,
  ) {
    super(`${path} is held by process ${pid}`);
    this.name = 'LockHeld';
  }
}

const LOOK_EVERY_MS = 100;

/**
 * Runs `body` while nobody else on this host holds the lock at `path`, in this process or another. The lock of a process
 * that has ended counts for nothing. Throws LockHeld after `waitMs`, and the reason of `signal`.
 */
export async function withFileLock<T>(
  path: string,
  { waitMs, signal }: { waitMs: number; signal?: AbortSignal },
  body: () => Promise<T>,
): Promise<T> {
  const own: Holder = { id: randomUUID(), pid: process.pid, startedAt: (await startOf(process.pid)) ?? '' };
  for (const until = Date.now() + waitMs; ; await sleep(LOOK_EVERY_MS)) {
    signal?.throwIfAborted();
    if (await take(path, own)) break;
    const holder = await readHolder(path);
    if (holder === undefined) continue;
    if ((await startOf(holder.pid)) !== holder.startedAt) await breakLock(path, holder, own.id);
    else if (Date.now() >= until) throw new LockHeld(path, holder.pid);
  }
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}

/** Removes a lock, or what was to become one, whose holder has ended. Returns whether it was such a one. */
export async function removeDeadLock(path: string): Promise<boolean> {
  const holder = await readHolder(path);
  if (holder === undefined || (await startOf(holder.pid)) === holder.startedAt) return false;
  await breakLock(path, holder, randomUUID());
  return true;
}

/** A link appears whole or not at all, and never over another one. */
async function take(path: string, own: Holder): Promise<boolean> {
  const draft = `${path}.${own.id}`;
  await writeFile(draft, JSON.stringify(own), { mode: 0o644 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  return readFile(path, 'utf8').then(
    (text) => JSON.parse(text) as Holder,
    () => undefined,
  );
}

/** What was moved away may be the lock of somebody who was quicker to break the dead one: that is put back. */
async function breakLock(path: string, dead: Holder, own: string): Promise<void> {
  const moved = `${path}.${own}.broken`;
  await rename(path, moved).catch(() => undefined);
  const found = await readHolder(moved);
  if (found !== undefined && found.id !== dead.id) await link(moved, path).catch(() => undefined);
  await rm(moved, { force: true });
}

const run = promisify(execFile);

/** When that process began, in the system's own words; undefined where there is none. */
export async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    // The name before it may hold blanks and parentheses.
    return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  }
  const printed = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => undefined);
  return printed?.stdout.trim();
}
