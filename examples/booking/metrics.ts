import type { FastifyInstance } from 'fastify';
import { Gauge, type Registry } from 'prom-client';
import { addCount, addGauge, addServiceMetrics } from '../shared/metrics';
import type { AppPools } from '../shared/pools';
import { readLastRun } from './cron';
import type { createInterest } from './interest';

/** Adds GET /metrics for Prometheus. Returns how to count an answer to a customer. */
export function addMetrics(
  server: FastifyInstance,
  pools: AppPools,
  interest: ReturnType<typeof createInterest>,
  registers: Registry[],
): (status: number, seconds: number) => void {
  const cache = {
    name: 'booking_cache_hit_rate',
    help: 'Share of the reads that the cache answered; no sample while nobody reads.',
  };
  addGauge(registers, cache, () => interest.stats().hitRate);
  new Gauge({
    name: 'booking_cron_last_run_timestamp_seconds',
    help: 'When a job ran last; no sample while the database is away.',
    labelNames: ['cron'],
    registers,
    async collect() {
      this.reset();
      const at = await readLastRun(pools.monitor).catch(() => null);
      if (at !== null) this.set({ cron: 'expire-bookings' }, Date.parse(at) / 1_000);
    },
  });
  for (const [name, { help, sql }] of Object.entries(MUST_NOT_BE))
    addCount({ service: 'booking', pools, registers }, { name, help, sql });
  return addServiceMetrics(server, { service: 'booking', pools, registers });
}

const MUST_NOT_BE: Record<string, { help: string; sql: string }> = {
  slots_sold_twice: {
    help: 'Slots with more than one confirmed booking.',
    sql: `SELECT count(*)::int AS count FROM (SELECT FROM bookings WHERE status = 'confirmed' AND slot_id IS NOT NULL
       GROUP BY slot_id HAVING count(*) > 1) AS sold`,
  },
  holds_overdue: {
    help: 'Holds that ran out more than 20 seconds ago and were not released.',
    sql: `SELECT count(*)::int AS count FROM bookings WHERE status = 'held' AND expires_at <= now() - interval '20 s'`,
  },
  listings_unapproved: {
    help: 'Published listings whose provider or property nobody approved.',
    sql: `SELECT count(*)::int AS count FROM listings JOIN providers ON providers.id = provider_id
      WHERE listings.status = 'published' AND (providers.status <> 'APPROVED' OR property_status <> 'APPROVED')`,
  },
  webhook_deliveries_overdue: {
    help: 'Webhooks that failed, were due again more than five minutes ago, and were not sent.',
    sql: `SELECT count(*)::int AS count FROM webhook_deliveries
      WHERE status = 'pending' AND attempts > 0 AND next_attempt_at <= now() - interval '5 min'`,
  },
};
