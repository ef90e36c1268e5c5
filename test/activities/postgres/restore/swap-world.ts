import { Client } from 'pg';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { createSwapActivities } from '../../../../src/activities/postgres/restore/swap-activities';
import { runActivity, runSql, startTestPostgres, type TestDatabase } from '../../../support/postgres';
import type { DatabaseRef } from '../../../../src/contract/place';
import { duringTests } from '../../../support/stand-in';
import { useFence } from './restore-world';

/** A server with a hundred bookings in each database. */
export const useSwapServer = () =>
  duringTests(() =>
    startTestPostgres({
      settings: { max_prepared_transactions: '5' },
      template: `CREATE TABLE bookings (id serial PRIMARY KEY, note text); INSERT INTO bookings (note) SELECT 'before' FROM generate_series(1, 100)`,
    }),
  );

/** The same, with copies that were restored beside their databases. */
export function useSwaps() {
  const pg = useSwapServer();
  const fence = useFence();
  return {
    pg,
    fence,
    /** A live database with one row more than its restored copy. */
    withCopy: async () => {
      const db = await pg.fresh();
      await db.query(`COMMENT ON DATABASE ${db.name} IS 'the shop'`);
      await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
      const names = { restored: `${db.name}_restored`, previous: `${db.name}_previous` };
      const into = { ...db.ref, database: names.restored } as DatabaseRef;
      await runActivity(createRestoreActivities(db.deps).restoreBackup, {
        ...db.place,
        backupId: 'b1',
        into,
        fence,
      });
      await db.query(`INSERT INTO bookings (note) VALUES ('after')`);
      return { db, into, act: createSwapActivities(db.deps), input: { ...db.place, ...names, fence } };
    },
    rowsOf: async (database: string) =>
      (await runSql<{ count: number }>(pg.urlOf(database), 'SELECT count(*)::int FROM bookings'))[0]?.count,
    serverOf: async (db: TestDatabase) => {
      const rows = await runSql<{ name: string; open: boolean; comment: string | null }>(
        pg.urlOf('postgres'),
        `SELECT datname AS name, datallowconn AS open, shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname LIKE $1 ORDER BY 1`,
        [`${db.name}%`],
      );
      return Object.fromEntries(
        rows.map(({ name, open, comment }) => [name.replace(db.name, 'db'), { open, comment }]),
      );
    },
  };
}

/** An application that reconnects at once whenever it is thrown out. */
export function application(url: string) {
  let running = true;
  let connects = 0;
  const loop = (async () => {
    while (running) {
      const client = new Client({ connectionString: url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        connects += 1;
        while (running) await client.query('SELECT count(*) FROM bookings');
      } catch {
        // Thrown out: at once again.
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  })();
  return {
    connects: () => connects,
    stop: async () => {
      running = false;
      await loop;
    },
  };
}
