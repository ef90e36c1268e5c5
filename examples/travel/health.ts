/** What the application says of itself: to load balancers, to Prometheus, to the runbooks. */
import { statSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Meilisearch } from 'meilisearch';
import type { Queues } from './queues';
import type { Store } from './store';

const HEALTH_MS = 3_000;
/** Of the server of Redis, which has no limit of its own here. */
export const REDIS_MEMORY_LIMIT = 256_000_000;

export interface Parts {
  store: Store;
  redis: Redis;
  search: Meilisearch;
  queues: Queues;
  directory: string;
}

/** The readiness of the seed: database, Redis, Meilisearch. */
export async function readiness({ store, redis, search }: Parts) {
  const looks: Record<string, Promise<unknown>> = {
    database: store.query('SELECT FROM packages LIMIT 1'),
    redis: redis.ping(),
    search: search.health(),
  };
  const said = await Promise.all(
    Object.entries(looks).map(async ([name, look]) => {
      const well = await within(look).then(
        () => 'ok',
        () => 'down',
      );
      return [name, well] as const;
    }),
  );
  return { isReady: said.every(([, state]) => state === 'ok'), checks: Object.fromEntries(said) };
}

function within<T>(look: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('no answer')), HEALTH_MS).unref();
  });
  return Promise.race([look, late]);
}

// Sessions and rows, as the role of the application may see them.
const LOOK = `
  SELECT
    (SELECT count(*)::int FROM pg_stat_activity WHERE usename = current_user) AS connections,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS "connectionsMax",
    (SELECT count(*)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock') AS "lockWaits",
    (SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()) AS deadlocks,
    (SELECT coalesce(max(n_dead_tup::float / (n_dead_tup + n_live_tup)), 0) FROM pg_stat_user_tables WHERE n_dead_tup > 10000) AS "deadShare",
    (SELECT coalesce(extract(epoch FROM max(now() - query_start)), 0)::float FROM pg_stat_activity
      WHERE usename = current_user AND state = 'active' AND pid <> pg_backend_pid()) AS "slowestSeconds",
    (SELECT count(*)::int FROM bookings WHERE status = 'HOLD' AND "expiresAt" < now() - interval '30 seconds') AS "holdsOverdue",
    (SELECT count(*)::int FROM inventory_units WHERE sold > capacity OR sold <> (
      SELECT coalesce(sum(units), 0) FROM inventory_ledger WHERE "unitId" = inventory_units.id)) AS "inventoryWrong",
    (SELECT count(*)::int FROM packages JOIN providers ON providers.id = packages."providerId" JOIN properties ON properties.id = "propertyId"
      WHERE packages.status = 'published' AND (providers.status <> 'APPROVED' OR "profileStatus" <> 'APPROVED')) AS unapproved,
    (SELECT count(*)::int FROM webhook_events WHERE status = 'failed') AS "webhooksFailed",
    (SELECT count(*)::int FROM payout_jobs WHERE status = 'pending' AND "runAt" < now() - interval '15 minutes') AS "payoutsOverdue"`;

export type DatabaseLook = Record<
  | 'connections'
  | 'connectionsMax'
  | 'lockWaits'
  | 'deadlocks'
  | 'deadShare'
  | 'slowestSeconds'
  | 'holdsOverdue'
  | 'inventoryWrong'
  | 'unapproved'
  | 'webhooksFailed'
  | 'payoutsOverdue',
  number
>;

/** What cannot be read is not there. */
export async function look({ store, redis, search, queues, directory }: Parts) {
  const maybe = <T>(reading: Promise<T>): Promise<T | undefined> => within(reading).catch(() => undefined);
  const [database, memory, isSearchUp, states] = await Promise.all([
    maybe(store.query<DatabaseLook>(LOOK)),
    maybe(redis.info('memory')),
    maybe(search.isHealthy()),
    maybe(queues.state()),
  ]);
  return {
    database: database?.[0],
    redisMemoryBytes: memory === undefined ? undefined : Number(/used_memory:(\d+)/.exec(memory)?.[1]),
    searchUp: isSearchUp === true,
    queues: states ?? [],
    backupAt: newestBackup(join(directory, 'backups', 'travel', 'production')),
  };
}

/** In milliseconds since 1970. */
function newestBackup(folder: string): number | undefined {
  try {
    return readdirSync(folder)
      .map((name) => statSync(join(folder, name, 'manifest.json'), { throwIfNoEntry: false })?.mtimeMs)
      .reduce((one, other) => ((one ?? 0) > (other ?? 0) ? one : other), undefined);
  } catch {
    return undefined;
  }
}
