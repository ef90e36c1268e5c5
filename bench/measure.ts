/** One measured figure as it stands in results.json. */
export interface Result {
  value: number;
  unit: string;
  /** The same thing done without us, in the unit that the note names. */
  baseline?: number;
  note: string;
}

export type Results = Record<string, Result>;

/** The middle of what was measured; throws where nothing was. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) throw new Error('nothing was measured');
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
}

/** The value below which a share of the measured values lie. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (found === undefined) throw new Error('nothing was measured');
  return found;
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** "median 4.6 s (4.5 to 4.9, 3 rounds)" */
export function spread(values: number[], unit: string, digits = 2): string {
  const shown = (value: number): string => round(value, digits).toString();
  return (
    `median ${shown(median(values))} ${unit} ` +
    `(${shown(Math.min(...values))} to ${shown(Math.max(...values))}, ${values.length} rounds)`
  );
}

/** The median of the ratios of each round: both sides of a round saw the same machine. */
export function ratios(over: number[], under: number[]): number[] {
  if (over.length !== under.length) throw new Error('both sides need the same number of rounds');
  return over.map((value, index) => value / under[index]!);
}

/**
 * Runs the contenders in turn, and the turn the other way round in every second round: whoever comes second finds the
 * caches warm and the disk busy. `settle` runs before each, outside of what is measured.
 */
export async function alternate(
  rounds: number,
  contenders: (() => Promise<void>)[],
  settle: () => Promise<void>,
): Promise<void> {
  for (let turn = 0; turn < rounds; turn += 1) {
    for (const contender of turn % 2 === 0 ? contenders : [...contenders].reverse()) {
      await settle();
      await contender();
    }
  }
}

/** Seconds that `body` takes, with its result. */
export async function timed<T>(body: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const startedAt = process.hrtime.bigint();
  const result = await body();
  return { seconds: Number(process.hrtime.bigint() - startedAt) / 1e9, result };
}

/** A line for whoever watches; the figures themselves go into the file. */
export function say(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
