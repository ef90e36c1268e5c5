/** Deliveries that were dealt with, for senders whose signature would be good for ever. */
export interface ReplayStore {
  /** Whether this delivery of this source was dealt with before. */
  has(source: string, deliveryId: string): boolean;
  /** To be called once a delivery is dealt with, and not before: one that was answered 503 has to come again. */
  remember(source: string, deliveryId: string): void;
  size(): number;
}

/**
 * Remembers `maxEntries` deliveries for `keepMs` and forgets the oldest first. It lives in memory: a replay after a
 * restart still meets the run of the same fingerprint and start time.
 */
export function createReplayStore({
  maxEntries = 100_000,
  keepMs = 24 * 3_600_000,
  nowMs = Date.now,
}: { maxEntries?: number; keepMs?: number; nowMs?: () => number } = {}): ReplayStore {
  // A Map keeps the order in which keys came, so the oldest are always in front.
  const seenAtMs = new Map<string, number>();
  const keyOf = (source: string, deliveryId: string) => `${source} ${deliveryId}`;
  const isOver = (atMs: number) => nowMs() - atMs >= keepMs;

  function forgetOldest(): void {
    for (const [key, atMs] of seenAtMs) {
      if (seenAtMs.size <= maxEntries && !isOver(atMs)) return;
      seenAtMs.delete(key);
    }
  }

  return {
    has(source, deliveryId) {
      const atMs = seenAtMs.get(keyOf(source, deliveryId));
      return atMs !== undefined && !isOver(atMs);
    },
    remember(source, deliveryId) {
      const key = keyOf(source, deliveryId);
      // The first time counts: who repeats a delivery does not extend how long it is remembered, nor shorten it.
      const atMs = seenAtMs.get(key);
      if (atMs !== undefined && !isOver(atMs)) return;
      seenAtMs.delete(key);
      seenAtMs.set(key, nowMs());
      forgetOldest();
    },
    size: () => seenAtMs.size,
  };
}
