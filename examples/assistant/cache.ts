import { keepRecent, quantileOf } from '../shared/recent';

/** Keeps answers for as long as is switched, and remembers how often that helped. */
export function createCache<T>(windowSeconds: number, ttlSeconds: () => number) {
  const hits = keepRecent<boolean>(windowSeconds);
  const times = keepRecent<number>(windowSeconds);
  const kept = new Map<string, { at: number; value: T }>();
  return {
    read: async (key: string, load: () => Promise<T>): Promise<T> => {
      const found = kept.get(key);
      const isHit = found !== undefined && Date.now() - found.at < ttlSeconds() * 1_000;
      hits.add(isHit);
      if (isHit) return found.value;
      const startedAt = performance.now();
      const value = await load();
      times.add((performance.now() - startedAt) / 1_000);
      kept.set(key, { at: Date.now(), value });
      return value;
    },
    stats: () => {
      const all = hits.read();
      const hitRate = all.length === 0 ? null : all.filter((hit) => hit).length / all.length;
      return { hitRate, reads: all.length, keys: kept.size, ttlSeconds: ttlSeconds(), windowSeconds };
    },
    loads: () => ({ calls: times.read().length, p95Seconds: quantileOf(times.read(), 0.95) }),
  };
}
