import { timeOf } from './reading';

/** More than clocks differ. */
export const FUTURE_MS = 60_000;

/** When a job ran last, in milliseconds, from what somebody says of it; or what is wrong with that. */
export function lastRunFrom(value: unknown, nowMs: number): { ms: number } | { wrong: string } {
  const ms = typeof value === 'string' || typeof value === 'number' ? timeOf(value) : undefined;
  if (ms === undefined) return { wrong: `is no time with its zone: "${String(value).slice(0, 100)}"` };
  if (ms > nowMs + FUTURE_MS)
    return { wrong: `lies in the future, at ${new Date(ms).toISOString()}; set the clocks` };
  return { ms };
}
