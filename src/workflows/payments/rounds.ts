import { sleep } from '@temporalio/workflow';

/** How events are sent, and how it is seen that they have arrived. */
export interface Rounds {
  maxRounds: number;
  /** How long after a round they may take. */
  patienceMs: number;
  lookEveryMs: number;
  /** Sends these, and returns those that need not be waited for. */
  send(items: string[], round: number): Promise<string[]>;
  /** Those of them that have not arrived yet. */
  open(items: string[]): Promise<string[]>;
}

/** The first of a round: where none of them arrives, the others are not sent, and come before them the next time. */
const TRIAL = 3;
const CHUNK = 20;
/** Of one round, however many there are: a history is bounded. */
const MAX_CHUNKS = 10;
const MAX_LOOKS = 30;

/**
 * Sends items round by round until all have arrived, or a round in which none did. `from` is the number of the last round
 * before. Returns what is still open, and the number of the last round.
 */
export async function inRounds(
  rounds: Rounds,
  items: string[],
  from = 0,
): Promise<{ open: string[]; round: number }> {
  let open = items;
  let round = from;
  while (open.length > 0 && round < from + rounds.maxRounds) {
    round += 1;
    const left = await oneRound(rounds, open, round);
    if (left.length === open.length) return { open: left, round };
    open = left;
  }
  return { open, round };
}

async function oneRound(rounds: Rounds, items: string[], round: number): Promise<string[]> {
  const trial = items.slice(0, TRIAL);
  const tried = without(trial, await rounds.send(trial, round));
  const rest = items.slice(TRIAL);
  if (tried.length > 0 && (await settled(rounds, tried)).length === trial.length) return [...rest, ...trial];
  const size = Math.max(CHUNK, Math.ceil(rest.length / MAX_CHUNKS));
  const waited = tried;
  for (let at = 0; at < rest.length; at += size) {
    const chunk = rest.slice(at, at + size);
    waited.push(...without(chunk, await rounds.send(chunk, round)));
  }
  return waited.length === 0 ? [] : settled(rounds, waited);
}

function without(items: string[], over: string[]): string[] {
  const known = new Set(over);
  return items.filter((item) => !known.has(item));
}

/** Those that have not arrived in time. */
async function settled({ open, patienceMs, lookEveryMs }: Rounds, items: string[]): Promise<string[]> {
  const everyMs = Math.max(lookEveryMs, patienceMs / MAX_LOOKS);
  let left = await open(items);
  for (let waitedMs = 0; left.length > 0 && waitedMs < patienceMs; waitedMs += everyMs) {
    await sleep(everyMs);
    left = await open(left);
  }
  return left;
}
