/** GET /metrics: a number for each threshold of alert-rules.yml. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { look, REDIS_MEMORY_LIMIT, type DatabaseLook, type Parts } from './health';

// Names of the columns of the look at the database.
const DATABASE: [keyof DatabaseLook, name: string, help: string][] = [
  ['connections', 'travel_database_connections', 'Connections that the role of the application has.'],
  ['connectionsMax', 'travel_database_connections_max', 'Connections that it may have.'],
  ['lockWaits', 'travel_database_lock_waits', 'Sessions that wait for a lock.'],
  ['deadlocks', 'travel_database_deadlocks_total', 'Deadlocks since the statistics began.'],
  ['deadShare', 'travel_database_dead_share', 'Of the rows of the worst table.'],
  ['slowestSeconds', 'travel_database_slowest_seconds', 'Age of the oldest statement that runs.'],
  ['holdsOverdue', 'travel_holds_overdue', 'Holds that ran out half a minute ago.'],
  ['inventoryWrong', 'travel_inventory_wrong', 'Departures oversold, or not as their ledger says.'],
  ['unapproved', 'travel_packages_unapproved', 'Published without an approved provider and property.'],
  ['webhooksFailed', 'travel_payment_webhooks_failed', 'Events of payments that could not be applied.'],
  ['payoutsOverdue', 'travel_payouts_overdue', 'Payouts that are a quarter of an hour late.'],
];

export function createMetrics(parts: Parts) {
  const registers = [new Registry()];
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  const requests = new Counter({
    name: 'travel_http_requests_total',
    help: 'Answers to customers.',
    labelNames: ['status'],
    registers,
  });
  const durations = new Histogram({
    name: 'travel_http_request_duration_seconds',
    help: 'How long customers waited for their answer.',
    buckets: [0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 1, 2, 5, 10],
    registers,
  });
  const logins = new Counter({
    name: 'travel_logins_total',
    help: 'Logins by their result.',
    labelNames: ['result'],
    registers,
  });
  // An absent counter is no zero: rates begin with the first one.
  for (const status of ['200', '500']) requests.inc({ status }, 0);
  const database = DATABASE.map(([column, name, help]) => [column, gauge(name, help)] as const);
  const up = gauge('travel_up', 'Whether it can be reached.', ['part']);
  const memory = gauge('travel_redis_memory_share', 'Of what Redis may use.');
  const oldest = gauge('travel_queue_oldest_seconds', 'Since when the oldest job waits.', ['queue']);
  const waiting = gauge('travel_queue_waiting', 'Jobs that wait.', ['queue']);
  const failed = gauge('travel_queue_failed_share', 'Of the jobs that ended lately.', ['queue']);
  const backup = gauge('travel_backup_timestamp_seconds', 'When the newest backup was complete.');

  return {
    answered: (status: number, seconds: number): void => {
      requests.inc({ status: String(status) });
      durations.observe(seconds);
    },
    login: (result: 'ok' | 'failed'): void => logins.inc({ result }),
    async text(): Promise<string> {
      const now = await look(parts);
      for (const [column, one] of database) {
        if (now.database === undefined) one.remove();
        else one.set(now.database[column]);
      }
      up.set({ part: 'database' }, now.database === undefined ? 0 : 1);
      up.set({ part: 'redis' }, now.redisMemoryBytes === undefined ? 0 : 1);
      up.set({ part: 'search' }, now.searchUp ? 1 : 0);
      if (now.redisMemoryBytes !== undefined) memory.set(now.redisMemoryBytes / REDIS_MEMORY_LIMIT);
      [oldest, waiting, failed].forEach((one) => one.reset());
      for (const { name: queue, ...state } of now.queues) {
        oldest.set({ queue }, state.oldestSeconds);
        waiting.set({ queue }, state.waiting);
        failed.set({ queue }, state.failedShare);
      }
      if (now.backupAt === undefined) backup.remove();
      else backup.set(now.backupAt / 1_000);
      return registers[0]!.metrics();
    },
  };
}
