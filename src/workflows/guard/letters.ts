import type { Letter, Release } from '../../contract/guard';
import { activitiesFor } from '../kit/presets';

/** What one turn says at once: the rest comes in the next. */
const AT_ONCE = 200;
/** They go along when an entity continues as new, and 2 MB are the end of it. */
const MAX_LETTERS = 1_000;

/** Adds to what is to be said. Under a storm what does not fit is not said: whoever hears nothing asks again. */
export function say({ letters }: { letters: Letter[] }, letter: Letter): void {
  if (letters.length < MAX_LETTERS) letters.push(letter);
}

/** Says the oldest of what is to be said; calls `gone` for each run that has ended. */
export async function deliver(letters: Letter[], gone: (who: Release) => void): Promise<void> {
  if (letters.length === 0) return;
  const sent = letters.splice(0, AT_ONCE);
  // Not as a part of this turn: under a storm the server ends a turn for which more than a hundred signals wait.
  const { post } = activitiesFor('read', `Answer ${sent.length} at once`);
  try {
    for (const who of await post(sent)) gone(who);
  } catch {
    // The server does not answer. Those who wait ask again, with pauses that grow.
  }
}
