import type { Snapshot } from './snapshot';

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** One gauge over what Temporal said. `nowMs` is the time of the scrape: ages grow also while nothing can be read. */
export interface GaugeSpec {
  name: string;
  help: string;
  labels: string[];
  samples: (snapshot: Snapshot, nowMs: number) => Sample[];
}

/** One sample for each set of labels that occurs, folded from those that have it. */
export function fold<T>(
  items: readonly T[],
  labelsOf: (item: T) => Record<string, string>,
  add: (value: number, item: T) => number,
): Sample[] {
  const samples = new Map<string, Sample>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    const sample = samples.get(key) ?? { labels, value: 0 };
    samples.set(key, { labels, value: add(sample.value, item) });
  }
  return [...samples.values()];
}

/** How many there are, by their labels. */
export function count<T>(items: readonly T[], labelsOf: (item: T) => Record<string, string>): Sample[] {
  return fold(items, labelsOf, (value) => value + 1);
}

/** One sample for each entry of a map; undefined values are left out. */
export function byService<T>(map: Map<string, T>, valueOf: (entry: T) => number | undefined): Sample[] {
  return [...map].flatMap(([service, entry]) => {
    const value = valueOf(entry);
    return value === undefined ? [] : [{ labels: { service }, value }];
  });
}
