import { chmodSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Receives one line about something that takes longer than a moment. */
export type Progress = (message: string) => void;

/** Whether this process may become another user, as it must for PostgreSQL, which refuses to run as root. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The folder that keeps what was downloaded or built, and the data of the embedded stack.
 * RUNBOOKS_CACHE, else /var/cache/durable-runbooks as root (the unprivileged user that runs PostgreSQL must be
 * able to reach it, which root's home does not allow), else the platform's cache folder.
 */
export function cacheDirectory(): string {
  const given = process.env['RUNBOOKS_CACHE'];
  const directory = given !== undefined && given !== '' ? given : defaultDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  if (isRoot()) chmodSync(directory, 0o755); // a strict umask would shut the unprivileged user out
  return directory;
}

/** A path below the cache directory. Its parents exist afterwards, itself not necessarily. */
export function cachePath(...parts: string[]): string {
  let directory = cacheDirectory();
  for (const part of parts.slice(0, -1)) {
    directory = join(directory, part);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (isRoot()) chmodSync(directory, 0o755);
  }
  return join(directory, ...parts.slice(-1));
}

/** A folder for the data of one part of the embedded stack, e.g. `dataPath('tour', 'postgres')`. */
export function dataPath(...parts: string[]): string {
  return cachePath('data', ...parts);
}

function defaultDirectory(): string {
  if (isRoot()) return '/var/cache/durable-runbooks';
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'durable-runbooks');
  const xdg = process.env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'durable-runbooks');
}
