import { join } from 'node:path';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createBackupsActivities } from '../../../../src/activities/postgres/backups/backup-activities';
import { createVerifyActivities } from '../../../../src/activities/postgres/backups/verify-activities';
import { createCanaryActivities } from '../../../../src/activities/postgres/backups/canary';
import {
  runActivity,
  startTestPostgres,
  type FreshOptions,
  type TestDatabase,
} from '../../../support/postgres';
import type { Fence } from '../../../../src/contract/place';
import { duringTests } from '../../../support/stand-in';

export const fence: Fence = { target: 'shop/production', token: 7 };

export function activitiesOf(db: TestDatabase) {
  return {
    ...createBackupActivities(db.deps),
    ...createBackupsActivities(db.deps),
    ...createVerifyActivities(db.deps),
    ...createCanaryActivities(db.deps),
  };
}

export const folderOf = (db: TestDatabase, id: string) => join(db.directory, 'backups/shop/production', id);

export function backUp(db: TestDatabase, backupId = 'b1', given: Fence | null = null) {
  return runActivity(activitiesOf(db).backUp, { ...db.place, backupId, fence: given });
}

/** A server with the databases of a shop. */
export function useBackups() {
  const pg = duringTests(() =>
    startTestPostgres({
      template: `
      CREATE TABLE customers (id bigserial PRIMARY KEY, name text);
      CREATE TABLE bookings (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customers, note text);
      CREATE TABLE "odd name" ("a b" int);
      INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
      INSERT INTO bookings (customer_id, note) SELECT 1 + i % 100, md5(i::text) FROM generate_series(1, 5000) i;
      SELECT lo_from_bytea(0, 'x'), lo_from_bytea(0, 'y');`,
    }),
  );
  return {
    pg,
    freshBackup: async (options: FreshOptions = {}) => {
      const db = await pg.fresh(options);
      return { db, summary: await backUp(db), folder: folderOf(db, 'b1') };
    },
  };
}
