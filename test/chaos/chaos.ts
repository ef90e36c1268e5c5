import { drawRound } from './draw';
import { newMemory, playRound, type Played } from './round';
import { surveyAfterSweep } from './survey';
import { roundText, tableOf } from './table';
import { openWorld } from './world';

export interface Limits {
  seed: number;
  /** No round begins after that. */
  minutes: number;
  faults: number;
  /** The number of the first round: a failure of the fifth is drawn again without those before it. */
  from: number;
  rounds: number;
}

/** Plays rounds until a limit is reached or the judge finds something. `say` gets a line or two for each. */
export async function runChaos(
  { seed, minutes, faults, from, rounds }: Limits,
  say: (text: string) => void,
): Promise<{ table: string; played: Played[]; ok: boolean }> {
  const world = await openWorld();
  const startedMs = Date.now();
  const played: Played[] = [];
  const struck = () => played.reduce((sum, one) => sum + one.struck.length, 0);
  try {
    const memory = newMemory();
    for (let number = from; number < from + rounds; number += 1) {
      if (Date.now() - startedMs > minutes * 60_000 || struck() >= faults) break;
      const one = await playRound(world, drawRound(seed, number), memory, faults - struck());
      played.push(one);
      say(roundText(number, one));
    }
    // The temporary folder of the system is all our own here.
    for (const { what } of await surveyAfterSweep(world)) {
      played.at(-1)?.findings.push({ verdict: 'leftover', what });
      say(`LEFTOVER: ${what}`);
    }
    for (const crash of world.crashes) say(`a worker ended by itself: ${crash}`);
    const table = tableOf({
      seed,
      seconds: (Date.now() - startedMs) / 1_000,
      rounds: played,
      acknowledged: world.writer.writes().filter(({ answer }) => answer === 'acknowledged').length,
      crashes: world.crashes.length,
    });
    const ok = played.length > 0 && played.every(({ findings }) => findings.length === 0);
    return { table, played, ok: ok && world.crashes.length === 0 };
  } finally {
    await world.stop();
  }
}
