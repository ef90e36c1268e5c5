import { proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Letter, Release } from '../../contract/guard';

/** What one turn says at once: the rest comes in the next. */
const AT_ONCE = 200;

// Part of the same turn, where a command for each of them would cost a turn more. Whoever hears nothing asks again.
const { post } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '20 s',
  retry: { maximumAttempts: 2 },
});

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
