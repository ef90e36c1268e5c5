/** Remembers what happened within a window of time. */
export function keepRecent<T>(windowSeconds: number): { add: (value: T) => void; read: () => T[] } {
  let kept: { at: number; value: T }[] = [];
  const forget = (): void => {
    const since = Date.now() - windowSeconds * 1_000;
    // In order: most of the time nothing, or only the first ones, are too old.
    const first = kept.findIndex(({ at }) => at > since);
    if (first !== 0) kept = first === -1 ? [] : kept.slice(first);
  };
  return {
    add: (value) => {
      forget();
      kept.push({ at: Date.now(), value });
    },
    read: () => {
      forget();
      return kept.map(({ value }) => value);
    },
  };
}

/** By nearest rank; null of nothing. */
export function quantileOf(values: number[], quantile: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] ?? null;
}
