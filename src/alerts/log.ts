import { printableJson } from '../contract/printable';
import { scrub } from '../config/secrets';
import { createRecent } from './recent';

/** One entry: what happened, and everything that tells it from others. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  about?: Record<string, unknown>,
) => void;

/** One JSON document a line, without secrets. */
export const jsonLog =
  (write: (line: string) => void): Log =>
  (level, message, about = {}) =>
    write(printableJson(withoutSecrets({ at: new Date().toISOString(), level, message, ...about })));

/** On standard error. */
export const logAsJson = jsonLog((line) => console.error(line));

/** Text by text: scrubbing the finished JSON could eat its quotes. */
function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') return scrub(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(withoutSecrets);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [scrub(key), withoutSecrets(one)]));
}

const MAX_KEYS = 10_000;

/** Whether something was not said for a while: a sender that goes on and on may not fill the disk with its log. */
export function createOccasion(everyMs: number): (key: string) => boolean {
  const saidAtMs = createRecent<number>(MAX_KEYS);
  return (key) => {
    if (Date.now() - (saidAtMs.get(key) ?? -Infinity) < everyMs) return false;
    saidAtMs.set(key, Date.now());
    return true;
  };
}
