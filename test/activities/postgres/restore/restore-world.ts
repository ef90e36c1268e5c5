/** A shop's server, backups of its databases, and where they are restored to. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { createScratchActivities } from '../../../../src/activities/postgres/restore/scratch-activities';
import { endpointOf } from '../../../../src/activities/postgres/session/endpoint';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import type { DatabaseRef, Fence } from '../../../../src/contract/place';
import { duringTests } from '../../../support/stand-in';

const SCRATCH = `restore-test-${process.pid}`;

/** A lease whose token grows with each test, as a server wants it. */
export function useFence(): Fence {
  const fence: Fence = { target: 'shop/production', token: 100 };
  beforeEach(() => void (fence.token += 1));
  return fence;
}

async function startShop(withScratch: boolean): Promise<TestPostgres> {
  const pg = await startTestPostgres({
    settings: { wal_level: 'logical' },
    template: `
      CREATE TABLE customers (id bigserial PRIMARY KEY, name text);
      CREATE TABLE bookings (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customers, note text);
      INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
      INSERT INTO bookings (customer_id, note) SELECT 1 + i % 100, md5(i::text) FROM generate_series(1, 3000) i;`,
  });
  if (!withScratch) return pg;
  const home = await pg.fresh({ service: withScratches(pg) });
  const [server] = await runSql<{ major: number }>(
    pg.urlOf('postgres'),
    `SELECT current_setting('server_version_num')::int / 10000 AS major`,
  );
  const { openScratch, dropScratch } = createScratchActivities(home.deps);
  await runActivity(openScratch, { scratch: SCRATCH, ...home.place, ...server });
  return {
    ...pg,
    stop: async () => {
      await runActivity(dropScratch, { scratch: SCRATCH });
      await pg.stop();
    },
  };
}

/** All databases of a server find the same disposable clusters. */
export const withScratches = (pg: TestPostgres) => ({
  restore: { scratchDirectory: join(pg.directory, 'scratch') },
});

/** From the first test of a file to its last; with a disposable cluster only where something is restored into one. */
export function useRestores({ withScratch = false } = {}) {
  const pg = duringTests(() => startShop(withScratch));
  return {
    pg,
    fence: useFence(),
    backedUp: async (options: FreshOptions = {}): Promise<{ db: TestDatabase; folder: string }> => {
      const db = await pg.fresh({ ...options, service: { ...withScratches(pg), ...options.service } });
      await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
      return { db, folder: join(db.directory, 'backups/shop/production/b1') };
    },
    databases: async (like: string): Promise<string[]> => {
      const rows = await runSql<{ datname: string }>(
        pg.urlOf('postgres'),
        'SELECT datname FROM pg_database WHERE datname LIKE $1 ORDER BY 1',
        [like],
      );
      return rows.map(({ datname }) => datname);
    },
  };
}

export const inScratch = (db: TestDatabase): DatabaseRef => ({
  kind: 'scratch',
  scratch: SCRATCH,
  database: db.name,
  of: db.place,
});
export const beside = (db: TestDatabase): DatabaseRef => ({ ...db.ref, database: `${db.name}_restored` });

export function restore(db: TestDatabase, into: DatabaseRef, given: Fence | null = null, attempt = 1) {
  return runActivity(
    createRestoreActivities(db.deps).restoreBackup,
    { ...db.place, backupId: 'b1', into, fence: given },
    { attempt },
  );
}

export const query = <Row extends object>(db: TestDatabase, ref: DatabaseRef, sql: string) =>
  runSql<Row>(endpointOf(db.deps, ref).url, sql);

/** Of the databases in which the attempts of a restore beside the live one work. */
export const temporary = (db: TestDatabase): string =>
  `durable_runbooks_new_${createHash('sha256').update(`${db.name}_restored`).digest('hex').slice(0, 16)}`;
