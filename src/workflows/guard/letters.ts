import { patched, proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Letter, Release } from '../../contract/guard';
import { activitiesFor } from '../kit/presets';

/** What one turn says at once: the rest comes in the next. */
const AT_ONCE = 200;
/** They go along when an entity continues as new, and 2 MB are the end of it. */
const MAX_LETTERS = 1_000;

/** So few are said in a moment. Under a storm the server ends a turn for which more than a hundred signals wait. */
const IN_TURN = 10;

const local = proxyLocalActivities<Activities>({
  // A pause that comes meanwhile waits for it.
  startToCloseTimeout: '2 s',
  retry: { maximumAttempts: 1 },
});

/** Whether an entity says a few answers as a part of its turn. Decided as it begins: it moves on to each new version. */
export function answersInTurn(): boolean {
  return patched('answers-in-turn');
}

/** Adds to what is to be said. Under a storm what does not fit is not said: whoever hears nothing asks again. */
export function say({ letters }: { letters: Letter[] }, letter: Letter): void {
  if (letters.length < MAX_LETTERS) letters.push(letter);
}

/** Says the oldest of what is to be said; calls `gone` for each run that has ended. */
export async function deliver(
  letters: Letter[],
  gone: (who: Release) => void,
  inTurn: boolean,
): Promise<void> {
  if (letters.length === 0) return;
  const sent = letters.splice(0, AT_ONCE);
  const { post } = activitiesFor('read', `Answer ${sent.length} at once`);
  const few = inTurn && sent.length <= IN_TURN;
  try {
    // Said twice is safe.
    const ended = few ? await local.post(sent).catch(() => post(sent)) : await post(sent);
    for (const who of ended) gone(who);
  } catch {
    // The server does not answer. Those who wait ask again, with pauses that grow.
  }
}
