import { join } from 'node:path';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createCanaryActivities } from '../../../../src/activities/postgres/backups/canary';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { createScratchActivities } from '../../../../src/activities/postgres/restore/scratch-activities';
import { createValidateActivities } from '../../../../src/activities/postgres/restore/validation-activities';
import { endpointOf } from '../../../../src/activities/postgres/session/endpoint';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import type { DatabaseRef } from '../../../../src/contract/place';
import { standIn } from '../../../support/stand-in';

const SCRATCH = `validate-test-${process.pid}`;
const of = { service: 'shop', environment: 'production' };
export const restored: DatabaseRef = { kind: 'scratch', scratch: SCRATCH, database: 'restored', of };
export const copy: DatabaseRef = { kind: 'scratch', scratch: SCRATCH, database: 'copy', of };

/** A database with two backups, of which the newer one was restored as `restored` in a disposable cluster. */
export function useRestoredCopy() {
  let pg: TestPostgres | undefined;
  let made: TestDatabase | undefined;
  const db = standIn(() => made!);
  const validate = (database: DatabaseRef, smoke = true) =>
    runActivity(createValidateActivities(db.deps).validateRestore, {
      ...db.place,
      database,
      backupId: 'b1',
      smoke,
    });
  beforeAll(async () => {
    pg = await startTestPostgres({
      template: `
      CREATE TABLE customers (id bigserial PRIMARY KEY, name text);
      CREATE TABLE bookings (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customers, starts int, ends int);
      CREATE TABLE empty_on_purpose (id int);
      CREATE TABLE events (id bigint, day date) PARTITION BY RANGE (day);
      CREATE TABLE events_2030 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
      CREATE INDEX ON bookings (customer_id);
      INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
      INSERT INTO bookings (customer_id, starts, ends) SELECT 1 + i % 100, i, i + 1 FROM generate_series(1, 3000) i;
      INSERT INTO events SELECT i, '2030-02-03' FROM generate_series(1, 50) i;
      CREATE VIEW starting AS SELECT id, starts FROM bookings WHERE starts > 0;
      GRANT SELECT ON customers TO PUBLIC;
      SELECT lo_from_bytea(0, 'x');`,
    });
    made = await pg.fresh({
      service: {
        backups: { directory: 'backups', contentDigest: true },
        restore: {
          scratchDirectory: 'scratch',
          requiredTables: ['bookings', 'public.customers', 'events_2030'],
          smoke: {
            run: [
              process.execPath,
              '-e',
              `console.log(new URL(process.env.DATABASE_URL).pathname, process.env.RUNBOOKS_DRILL); process.exit(Number(process.env.FAIL))`,
            ],
            environment: { FAIL: '0' },
          },
        },
        invariants: [
          { name: 'bookings end after they start', sql: 'SELECT id FROM bookings WHERE ends <= starts' },
        ],
      },
    });
    const { backUp } = createBackupActivities(db.deps);
    const { writeCanary } = createCanaryActivities(db.deps);
    await runActivity(writeCanary, { database: db.ref, id: 'canary-0' });
    await runActivity(backUp, { ...db.place, backupId: 'b0', fence: null });
    await runActivity(writeCanary, { database: db.ref, id: 'canary-1' });
    await runActivity(backUp, { ...db.place, backupId: 'b1', fence: null });
    await runActivity(createScratchActivities(db.deps).openScratch, { scratch: SCRATCH, ...db.place });
    await runActivity(createRestoreActivities(db.deps).restoreBackup, {
      ...db.place,
      backupId: 'b1',
      into: restored,
      fence: null,
    });
  });
  afterAll(async () => {
    await runActivity(createScratchActivities(db.deps).dropScratch, { scratch: SCRATCH });
    await pg?.stop();
  });
  return {
    pg: standIn(() => pg!),
    db,
    validate,
    /** Damages a clone of the restored copy and returns the checks that fail, with their details. */
    findingsAfter: async (sql: string, edit?: (folder: string) => void): Promise<Record<string, string>> => {
      await runActivity(createScratchActivities(db.deps).cloneDatabase, { from: restored, to: copy });
      await runSql(endpointOf(db.deps, copy).url, sql);
      edit?.(join(db.directory, 'backups/shop/production/b1'));
      const report = await validate(copy, false);
      const failed = report.checks.filter(({ ok }) => !ok);
      expect(report.ok).toBe(failed.length === 0);
      return Object.fromEntries(failed.map(({ name, detail }) => [name, detail]));
    },
  };
}
