import { relieved, type Look } from './limits';

// Load comes in waves, and what was just emptied fills up again: one reading says little.
const LOOKS = 6;
const STEADY_LOOKS = 2;

/**
 * Looks until the symptom is gone `steady` times in a row. One good look between bad ones is a wave, so that the last
 * word is never a first good one: what is returned after some seconds is bad, unless it is steady. Runs of before this
 * was so do not insist on it.
 */
export async function settle(
  look: () => Promise<Look>,
  pause: () => Promise<unknown>,
  { steady = STEADY_LOOKS, insists = true }: { steady?: number; insists?: boolean } = {},
): Promise<Look> {
  let good = 0;
  for (let looks = 1; ; looks += 1) {
    const last = await look();
    good = relieved(last).ok ? good + 1 : 0;
    if (good >= steady || (looks >= LOOKS && (good === 0 || !insists))) return last;
    await pause();
  }
}
