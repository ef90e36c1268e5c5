import { Client } from 'pg';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createSwapActivities } from '../../../../src/activities/postgres/restore/swap-activities';
import { editManifest } from '../../../support/damage';
import { runActivity } from '../../../support/postgres';
import { useSwapServer } from './swap-world';

const pg = useSwapServer();

/** Counters arrive when a session ends or idles; the sessions of these tests end at once. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 300));

describe('what a restore would lose', () => {
  test('is bounded by what was written since', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    const { estimateLostWrites } = createSwapActivities(db.deps);
    await settle();
    const quiet = await runActivity(estimateLostWrites, { ...db.place, backupId: 'b1' });
    // Counters of writes before the backup may have arrived after it: a bound may be too high, never too low.
    expect(quiet!.rowsAtMost).toBeLessThanOrEqual(100);
    await db.query(`INSERT INTO bookings (note) SELECT 'new' FROM generate_series(1, 30)`);
    await db.query(`UPDATE bookings SET note = 'changed' WHERE id <= 20`);
    await db.query(`DELETE FROM bookings WHERE id BETWEEN 21 AND 30`);
    await settle();
    const lost = await runActivity(estimateLostWrites, { ...db.place, backupId: 'b1' });
    expect(lost!.rowsAtMost - quiet!.rowsAtMost).toBe(60);
    expect([lost!.tables![0], lost!.moreTables]).toEqual(['public.bookings', 0]);
    expect(lost!.walBytes).toBeGreaterThan(quiet!.walBytes);
    expect(Date.parse(lost!.since)).toBeLessThan(Date.now());
  });

  test('counts a table that was made anew under its name, and all that the old one had', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    await db.query(
      `DROP TABLE bookings; CREATE TABLE bookings (id serial PRIMARY KEY, note text); INSERT INTO bookings (note) SELECT 'x' FROM generate_series(1, 100)`,
    );
    await settle();
    const lost = await runActivity(createSwapActivities(db.deps).estimateLostWrites, {
      ...db.place,
      backupId: 'b1',
    });
    expect(lost!.rowsAtMost).toBeGreaterThanOrEqual(200);
  });

  test('is not known on another server, or on one that was put back in time', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    const { estimateLostWrites } = createSwapActivities(db.deps);
    for (const change of [{ systemIdentifier: '12345678901' }, { lsn: 'FFFF/0' }]) {
      editManifest(`${db.directory}/backups/shop/production/b1`, (manifest) =>
        Object.assign(manifest, change),
      );
      expect(await runActivity(estimateLostWrites, { ...db.place, backupId: 'b1' })).toBeNull();
    }
  });

  test('is bounded by the WAL where the counters were reset', async () => {
    const db = await pg.fresh();
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    await db.query(`INSERT INTO bookings (note) SELECT 'new' FROM generate_series(1, 500)`);
    await settle();
    await db.query('SELECT pg_stat_reset()');
    const lost = await runActivity(createSwapActivities(db.deps).estimateLostWrites, {
      ...db.place,
      backupId: 'b1',
    });
    expect(lost!.rowsAtMost).toBeGreaterThanOrEqual(500);
  });
});

test('a crash, which throws the counters away, does not make lost writes look fewer', async () => {
  const db = await pg.fresh();
  await settle();
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
  await db.query(`INSERT INTO bookings (note) SELECT 'lost' FROM generate_series(1, 5000)`);
  await pg.server.kill();
  await pg.server.restart();
  // More than the counters had when the backup was made: they do not even go backwards.
  await db.query(`INSERT INTO bookings (note) SELECT 'later' FROM generate_series(1, 200)`);
  await settle();
  const lost = await runActivity(createSwapActivities(db.deps).estimateLostWrites, {
    ...db.place,
    backupId: 'b1',
  });
  expect(lost!.rowsAtMost).toBeGreaterThanOrEqual(5200);
});

test('sessions of the live database are counted', async () => {
  const db = await pg.fresh();
  const client = new Client({ connectionString: db.url });
  await client.connect();
  expect(await runActivity(createSwapActivities(db.deps).countSessions, db.place)).toEqual({ sessions: 1 });
  await client.end();
});
