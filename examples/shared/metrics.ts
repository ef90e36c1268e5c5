import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { readConnections } from './connections';
import type { AppPools } from './pools';

export interface ServiceMetrics {
  /** Of every metric, before an underscore. */
  service: string;
  pools: AppPools;
  registers: Registry[];
}

/** A gauge that is read when somebody asks. Null: no sample. */
export function addGauge(
  registers: Registry[],
  { name, help }: { name: string; help: string },
  read: () => number | null | Promise<number | null>,
): void {
  new Gauge({
    name,
    help,
    registers,
    async collect() {
      const now = await read();
      if (now === null) this.remove();
      else this.set(now);
    },
  });
}

/** The number that a statement finds. No sample while the database is away. */
export function addCount(
  { service, pools, registers }: ServiceMetrics,
  { name, help, sql }: { name: string; help: string; sql: string },
): void {
  addGauge(registers, { name: `${service}_${name}`, help }, async () => {
    const found = await pools.monitor.query<{ count: number }>(sql).catch(() => undefined);
    return found?.rows[0]?.count ?? null;
  });
}

/** Adds GET /metrics for Prometheus: answers, the pool, the database. Returns how to count an answer to a customer. */
export function addServiceMetrics(
  server: FastifyInstance,
  metrics: ServiceMetrics,
): (status: number, seconds: number) => void {
  const { service, pools, registers } = metrics;
  const requests = new Counter({
    name: `${service}_http_requests_total`,
    help: 'Answers to customers; health checks and metrics do not count.',
    labelNames: ['status'],
    registers,
  });
  const durations = new Histogram({
    name: `${service}_http_request_duration_seconds`,
    help: 'How long customers waited for their answer.',
    buckets: [0.05, 0.1, 0.2, 0.4, 0.5, 1, 2, 3, 5, 10],
    registers,
  });
  new Gauge({
    name: `${service}_pool_connections`,
    help: 'Connections of the pool; waiting: requests that wait for one.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(pools.counts())) this.set({ state }, count);
    },
  });
  const max = { name: `${service}_pool_max`, help: 'Connections that the pool may have.' };
  addGauge(registers, max, () => pools.max());
  const readDatabase = addDatabaseMetrics(metrics);
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

/** As the database sees it: everybody who connects with the application's role counts. No sample while it is away. */
function addDatabaseMetrics({ service, pools, registers }: ServiceMetrics): () => Promise<void> {
  const used = new Gauge({
    name: `${service}_database_connections`,
    help: "Connections of the application's role, by state.",
    labelNames: ['state'],
    registers,
  });
  const up = new Gauge({
    name: `${service}_database_up`,
    help: '1 where the application has a connection to its database, else 0.',
    registers,
  });
  const allowed = new Gauge({
    name: `${service}_database_connections_max`,
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
