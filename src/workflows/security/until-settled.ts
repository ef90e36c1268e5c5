import { sleep } from '@temporalio/workflow';

const MAX_LOOKS = 30;

/** Looks again while it does not hold, for as long as the application may take to notice a change. Returns what it saw last. */
export async function untilSettled<T>(
  look: () => Promise<T>,
  holds: (seen: T) => boolean,
  settleMs: number,
): Promise<T> {
  const everyMs = Math.max(500, Math.ceil(settleMs / MAX_LOOKS));
  let seen = await look();
  for (let leftMs = settleMs; !holds(seen) && leftMs > 0; leftMs -= everyMs) {
    await sleep(everyMs);
    seen = await look();
  }
  return seen;
}
