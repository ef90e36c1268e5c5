import { join } from 'node:path';
import { Client } from 'pg';
import { listDumpContents, readListing } from '../../../src/activities/postgres/backups/completeness';
import { readManifest } from '../../../src/activities/postgres/backups/manifest';
import { readObjects } from '../../../src/activities/postgres/inspection/read-schema';
import { createCanaryActivities } from '../../../src/activities/postgres/backups/canary';
import { createBackupActivities } from '../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../src/activities/postgres/restore/restore-activities';
import { createValidateActivities } from '../../../src/activities/postgres/restore/validation-activities';
import { openTools } from '../../../src/activities/postgres/session/tools';
import { schemaDelta, touched } from '../../../src/contract/schema-delta';
import type { DatabaseRef } from '../../../src/contract/place';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../support/postgres';
import { CHANGES, DATA_KINDS, MORE_CHANGES } from '../../support/torture/kinds';
import {
  DOCUMENTED_ROLE,
  dumpOf,
  kindsOf,
  makeTorture,
  nextFence,
  passThrough,
  prepareTorture,
} from '../../support/torture/torture';

let pg: TestPostgres;
let everything: TestDatabase;
beforeAll(async () => {
  pg = await startTestPostgres({
    settings: { wal_level: 'logical', shared_preload_libraries: 'pg_stat_statements' },
  });
  await prepareTorture(pg);
  everything = await makeTorture(pg, { everything: true });
});
afterAll(() => pg?.stop());

const failed = ({ checks }: { checks: { name: string; ok: boolean; detail: string }[] }) =>
  checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);

test('every kind of object that a dump has is in the fingerprint', async () => {
  const kinds = kindsOf(pg, everything.name).filter((kind) => !DATA_KINDS.includes(kind));
  // A kind that is only in one of them: give it a change, or the database an object of it.
  expect(kinds).toEqual(Object.keys(CHANGES).sort());
  const client = new Client(everything.url);
  await client.connect();
  try {
    await client.query('BEGIN');
    for (const portable of [false, true]) {
      const before = await readObjects(client, { portable });
      await client.query('SAVEPOINT untouched; SET LOCAL search_path = torture');
      const changes = [...Object.values(CHANGES), ...MORE_CHANGES];
      for (const [, sql] of changes) await client.query(sql.replaceAll('$db', everything.name));
      const after = touched(schemaDelta(before, await readObjects(client, { portable })));
      expect(changes.map(([identity]) => identity).filter((identity) => !after.includes(identity))).toEqual(
        [],
      );
      await client.query('ROLLBACK TO untouched');
    }
  } finally {
    await client.end();
  }
});

test('one of everything that the documented role may restore, and 7,000 tables, come back as they were, drilled and swapped in', async () => {
  const db = await makeTorture(pg, { everything: false, role: DOCUMENTED_ROLE, tables: 7_000 });
  const before = dumpOf(pg, db.name);
  const { drilled, restored } = await passThrough(pg, db);
  expect(failed(drilled)).toEqual([]);
  expect(failed(restored)).toEqual([]);
  expect(apart(before, dumpOf(pg, db.name))).toEqual([]);

  const folder = join(db.directory, 'backups/shop/production/b1');
  const tools = await openTools(db.deps);
  const listing = await readListing(tools, join(folder, 'data'));
  // More than is kept of what a program says.
  expect(listing.join('\n').length).toBeGreaterThan(4 * 1024 * 1024);
  const { tables } = await listDumpContents(tools, join(folder, 'data'));
  expect(tables.size).toBeGreaterThan(7_000);
}, 900_000);

test('in a server without the tablespaces, or that does not let our role use one of them, everything comes back elsewhere', async () => {
  const db = await makeTorture(pg, { everything: false, role: DOCUMENTED_ROLE });
  const fence = nextFence();
  await runActivity(createCanaryActivities(db.deps).writeCanary, { database: db.ref, id: 'canary', fence });
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence });
  await runSql(
    pg.urlOf('postgres'),
    'REVOKE CREATE ON TABLESPACE torture_space FROM torture_owner, torture_other, torture_runbooks',
  );
  const beside = { ...db.ref, database: `${db.name}_elsewhere` } as DatabaseRef;
  const { restoreBackup } = createRestoreActivities(db.deps);
  const again = await runActivity(restoreBackup, { ...db.place, backupId: 'b1', into: beside, fence });
  expect(again.remarks).toEqual([expect.stringMatching(/default tablespace, for torture_space is not on/)]);
  const { validateRestore } = createValidateActivities(db.deps);
  const report = await runActivity(validateRestore, { ...db.place, backupId: 'b1', database: beside });
  expect(failed(report)).toEqual([]);
  await runSql(
    pg.urlOf('postgres'),
    'GRANT CREATE ON TABLESPACE torture_space TO torture_owner, torture_other, torture_runbooks',
  );
});

test('one of everything comes back as it was, as superuser', async () => {
  const db = await makeTorture(pg, { everything: true });
  const before = dumpOf(pg, db.name);
  const { drilled, restored } = await passThrough(pg, db);
  expect(failed(drilled)).toEqual([]);
  expect(failed(restored)).toEqual([]);
  expect(apart(before, dumpOf(pg, db.name))).toEqual([]);
  const { manifest } = await readManifest(join(db.directory, 'backups/shop/production/b1'));
  expect(manifest).toMatchObject({
    publications: ['all_of_it', 'bookings_only', 'some_rows', 'whole_schema'],
    subscriptions: ['from_afar'],
    eventTriggers: ['watched'],
    tablespaces: ['torture_home', 'torture_space'],
    unloggedTables: ['torture.cached'],
    preloadLibraries: ['pg_stat_statements'],
    properties: { tablespace: 'torture_home' },
  });
}, 900_000);

/** The first lines that are another in each: what shows all of two dumps of thousands of tables takes for ever. */
function apart(before: Dump, after: Dump): [string | undefined, string | undefined][] {
  return (['globals', 'database'] as const).flatMap((part) => {
    const [was, is] = [before[part], after[part]];
    const first = Array.from({ length: Math.max(was.length, is.length) }, (_, index) => index).find(
      (index) => was[index] !== is[index],
    );
    if (first === undefined) return [];
    return Array.from({ length: 5 }, (_, index): [string | undefined, string | undefined] => [
      was[first + index],
      is[first + index],
    ]);
  });
}

type Dump = ReturnType<typeof dumpOf>;
