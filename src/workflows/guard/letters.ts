import { proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Letter, Release } from '../../contract/guard';

/** What one turn says at once: the rest comes in the next. */
const AT_ONCE = 200;
/** They go along when an entity continues as new, and 2 MB are the end of it. */
const MAX_LETTERS = 1_000;

// Part of the same turn, where a command for each of them would cost a turn more. Whoever hears nothing asks again.
const { post } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '20 s',
  retry: { maximumAttempts: 2 },
});

/** Adds to what is to be said. Under a storm what does not fit is not said: whoever hears nothing asks again. */
export function say({ letters }: { letters: Letter[] }, letter: Letter): void {
  if (letters.length < MAX_LETTERS) letters.push(letter);
}

/** Says the oldest of what is to be said; calls `gone` for each run that has ended. */
export async function deliver(letters: Letter[], gone: (who: Release) => void): Promise<void> {
  if (letters.length === 0) return;
  const sent = letters.splice(0, AT_ONCE);
  try {
    for (const who of await post(sent)) gone(who);
  } catch {
    // The server does not answer. Those who wait ask again, with pauses that grow.
  }
}
