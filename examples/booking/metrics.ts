import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { readConnections } from '../shared/connections';
import { readLastRun } from './cron';
import type { createInterest } from './interest';
import type { AppPools } from '../shared/pools';

/** Adds GET /metrics for Prometheus. Returns how to count an answer to a customer. */
export function addMetrics(
  server: FastifyInstance,
  pools: AppPools,
  interest: ReturnType<typeof createInterest>,
  registers: Registry[],
): (status: number, seconds: number) => void {
  const requests = new Counter({
    name: 'booking_http_requests_total',
    help: 'Answers to customers; health checks and metrics do not count.',
    labelNames: ['status'],
    registers,
  });
  const durations = new Histogram({
    name: 'booking_http_request_duration_seconds',
    help: 'How long customers waited for their answer.',
    buckets: [0.05, 0.1, 0.2, 0.4, 0.5, 1, 2, 3, 5, 10],
    registers,
  });
  new Gauge({
    name: 'booking_cache_hit_rate',
    help: 'Share of the reads that the cache answered; no sample while nobody reads.',
    registers,
    collect() {
      const { hitRate } = interest.stats();
      if (hitRate === null) this.remove();
      else this.set(hitRate);
    },
  });
  new Gauge({
    name: 'booking_pool_connections',
    help: 'Connections of the pool; waiting: requests that wait for one.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(pools.counts())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'booking_pool_max',
    help: 'Connections that the pool may have.',
    registers,
    collect() {
      this.set(pools.max());
    },
  });
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
  addBookingMetrics(registers, pools);
  const readDatabase = addDatabaseMetrics(registers, pools);
  server.get('/metrics', async (_request, reply) => {
    const registry = registers[0]!;
    await readDatabase();
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  return (status, seconds) => {
    requests.inc({ status: String(status) });
    durations.observe(seconds);
  };
}

/** What must not be there. No sample while the database is away. */
function addBookingMetrics(registers: Registry[], { monitor }: AppPools): void {
  const gauge = (name: string, help: string, sql: string): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const found = await monitor.query<{ count: number }>(sql).catch(() => undefined);
        if (found === undefined) this.remove();
        else this.set(found.rows[0]!.count);
      },
    });
  };
  gauge(
    'booking_slots_sold_twice',
    'Slots with more than one confirmed booking.',
    `SELECT count(*)::int AS count FROM (SELECT FROM bookings WHERE status = 'confirmed' AND slot_id IS NOT NULL
       GROUP BY slot_id HAVING count(*) > 1) AS sold`,
  );
  gauge(
    'booking_holds_overdue',
    'Holds that ran out more than 20 seconds ago and were not released.',
    `SELECT count(*)::int AS count FROM bookings WHERE status = 'held' AND expires_at <= now() - interval '20 s'`,
  );
  gauge(
    'booking_listings_unapproved',
    'Published listings whose provider or property nobody approved.',
    `SELECT count(*)::int AS count FROM listings JOIN providers ON providers.id = provider_id
      WHERE listings.status = 'published' AND (providers.status <> 'APPROVED' OR property_status <> 'APPROVED')`,
  );
  gauge(
    'booking_webhook_deliveries_overdue',
    'Webhooks that failed, were due again more than five minutes ago, and were not sent.',
    `SELECT count(*)::int AS count FROM webhook_deliveries
      WHERE status = 'pending' AND attempts > 0 AND next_attempt_at <= now() - interval '5 min'`,
  );
}

/** As the database sees it: everybody who connects with the application's role counts. No sample while it is away. */
function addDatabaseMetrics(registers: Registry[], pools: AppPools): () => Promise<void> {
  const used = new Gauge({
    name: 'booking_database_connections',
    help: "Connections of the application's role, by state.",
    labelNames: ['state'],
    registers,
  });
  const up = new Gauge({
    name: 'booking_database_up',
    help: '1 where the application has a connection to its database, else 0.',
    registers,
  });
  const allowed = new Gauge({
    name: 'booking_database_connections_max',
    help: "Connections that the application's role may have in the database.",
    registers,
  });
  return async () => {
    used.reset();
    allowed.remove();
    const found = await readConnections(pools.monitor).catch(() => undefined);
    up.set(found === undefined ? 0 : 1);
    if (found === undefined) return;
    allowed.set(found.allowed);
    for (const [state, count] of Object.entries(found.states)) used.set({ state }, count);
  };
}
