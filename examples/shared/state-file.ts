import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What a file says, or undefined where there is none. Throws where it is no JSON. */
export function readState<T>(file: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return JSON.parse(text) as T;
}

/** Replaces the whole file at once: nobody ever reads half of it. */
export function writeState(file: string, state: object, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  const half = `${file}.${randomBytes(4).toString('hex')}`;
  writeFileSync(half, `${JSON.stringify(state, null, 2)}\n`, { mode });
  renameSync(half, file);
}

const LOOK_EVERY_MS = 250;

/** Calls back with what a file says, now and whenever that changes. Returns how to stop it. */
export function followState<T>(file: string, changed: (state: T) => void): () => void {
  let last: string | undefined;
  const look = (): void => {
    try {
      const state = readState<T>(file);
      const text = JSON.stringify(state);
      if (state === undefined || text === last) return;
      last = text;
      changed(state);
    } catch {
      // Somebody is editing it by hand: the next look decides.
    }
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
