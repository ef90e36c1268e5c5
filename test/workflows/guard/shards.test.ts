import { quotaOf, shardOf, shardsFor } from '../../../src/contract/places';
import { askAgainAfter } from '../../../src/workflows/kit/ask-again';

describe('who hears from a thousand services with a run a minute each', () => {
  const services = Array.from({ length: 1_000 }, (_, index) => `service-${index}`);

  it('is told less than five times a second', () => {
    const shards = shardsFor(services.length, 10, 10);
    const perShard = Array.from({ length: shards }, () => 0);
    for (const service of services) perShard[shardOf(service, shards)]! += 1;
    // Each run asks for a place and gives it back.
    for (const runs of perShard) expect((2 * runs) / 60).toBeLessThan(5);
  });

  it('gives away exactly as many places as there are', () => {
    for (const [alerts, schedules] of [
      [10, 10],
      [7, 3],
      [1, 40],
    ] as const) {
      const limits = { alerts, schedules, shards: shardsFor(services.length, alerts, schedules) };
      for (const pool of ['alerts', 'schedules'] as const) {
        const quotas = Array.from({ length: limits.shards }, (_, shard) => quotaOf(pool, shard, limits));
        expect(quotas.reduce((one, other) => one + other)).toBe(limits[pool]);
        expect(Math.min(...quotas)).toBeGreaterThan(0);
      }
    }
  });

  it('is asked again less and less often, and not by all at once', () => {
    const times = Array.from({ length: 100 }, () => [0, 1, 2, 3, 9].map(askAgainAfter));
    for (const [first, second, third, fourth, tenth] of times as [number, number, number, number, number][]) {
      expect(first).toBeGreaterThanOrEqual(45_000);
      expect(second).toBeGreaterThan(first);
      expect(third).toBeGreaterThan(second);
      expect(fourth).toBeGreaterThan(third);
      expect(tenth).toBeLessThanOrEqual(750_000);
    }
    expect(new Set(times.map(([first]) => first)).size).toBeGreaterThan(50);
  });
});
