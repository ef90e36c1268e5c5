const FIRST_MS = 60_000;
const MAX_MS = 10 * 60_000;

/**
 * How long to wait before a guard is asked the same again: longer each time, and not the same for all who began together,
 * or those who wait would keep a busy guard busy.
 */
export function askAgainAfter(asked: number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** asked) * (0.75 + Math.random() / 2);
}
