import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createScratchActivities } from '../../../../src/activities/postgres/restore/scratch-activities';
import { createValidateActivities } from '../../../../src/activities/postgres/restore/validation-activities';
import { endpointOf } from '../../../../src/activities/postgres/session/endpoint';
import { editManifest } from '../../../support/damage';
import { failureOf, runActivity, runSql, startActivity } from '../../../support/postgres';
import { copy, restored, useRestoredCopy } from './validation-world';

const { pg, db, validate, findingsAfter } = useRestoredCopy();

test('a whole copy passes every check, is not changed by them, and says how far it is', async () => {
  const url = endpointOf(db.deps, restored).url;
  const objects = `SELECT count(*)::int FROM pg_class WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg_temp%')`;
  const before = await runSql(url, objects);
  const run = startActivity(createValidateActivities(db.deps).validateRestore, {
    ...db.place,
    database: restored,
    backupId: 'b1',
  });
  const report = await run.result;
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(report).toMatchObject({ ok: true, rows: 3000 + 100 + 50 + 2 });
  expect(report.checks.map(({ name }) => name).sort()).toEqual(
    [
      'canary',
      'contents',
      'extensions',
      'foreign keys',
      'indexes',
      'invariant bookings end after they start',
      'large objects',
      'no orphans',
      'required tables',
      'rows',
      'schema',
      'sequences',
      'smoke test',
    ].sort(),
  );
  const details = Object.fromEntries(report.checks.map(({ name, detail }) => [name, detail]));
  expect(details['indexes']).toMatch(/B-trees in order \(amcheck\)/);
  expect(details['smoke test']).toBe('/restored 1');
  expect(report.unseen).toBeUndefined();
  expect(await runSql(url, objects)).toEqual(before);
  expect(run.beats).toContainEqual(expect.objectContaining({ phase: 'validate', unit: 'tables' }));
});

test.each([
  ['a missing row', 'DELETE FROM bookings WHERE id = 7', { rows: /bookings has 2999 rows instead of 3000/ }],
  ['an emptied table', 'DELETE FROM events', { rows: /events_2030 has 0 rows instead of 50/ }],
  [
    'a row too many',
    `INSERT INTO empty_on_purpose VALUES (1)`,
    { rows: /empty_on_purpose has 1 rows instead of 0/ },
  ],
  [
    'a lost table',
    'DROP TABLE events',
    {
      rows: /events_2030 is missing/,
      'required tables': /events_2030/,
      schema: /table public.events is missing/,
    },
  ],
  [
    'a changed value',
    `UPDATE customers SET name = 'c0' WHERE id = 1`,
    { contents: /^public.customers has other contents than in the snapshot$/ },
  ],
  [
    'two values that changed places',
    'UPDATE bookings SET starts = CASE id WHEN 1 THEN 2 ELSE 1 END, ends = 3 - starts + 1 WHERE id IN (1, 2)',
    { contents: /bookings/ },
  ],
  [
    'a large object that was written over',
    `SELECT lo_put(oid, 0, 'y') FROM pg_largeobject_metadata`,
    { 'large objects': /1 of 1, other contents/ },
  ],
  ['a lost view', 'DROP VIEW starting', { schema: /^view public.starting is missing$/ }],
  [
    'a view that shows something else',
    'CREATE OR REPLACE VIEW starting AS SELECT id, starts FROM bookings WHERE starts > 1',
    { schema: /^view public.starting is different$/ },
  ],
  [
    'a lost grant',
    'REVOKE SELECT ON customers FROM PUBLIC',
    { schema: /^grant public.customers is missing$/ },
  ],
  [
    'an object too many',
    'CREATE FUNCTION sneaked_in() RETURNS int LANGUAGE sql RETURN 1',
    { schema: /^function public.sneaked_in\(\) is not in the backup$/ },
  ],
  [
    'a sequence that would give out numbers again',
    `SELECT setval('bookings_id_seq', 5)`,
    { sequences: /bookings_id_seq stands at 5 before 3000/ },
  ],
  [
    'a lost sequence',
    `ALTER SEQUENCE bookings_id_seq RENAME TO elsewhere`,
    { sequences: /bookings_id_seq is missing/, schema: /elsewhere is not in the backup/ },
  ],
  [
    'a lost large object',
    `SELECT lo_unlink(oid) FROM pg_largeobject_metadata`,
    { 'large objects': /0 of 1/ },
  ],
  [
    'a lost foreign key',
    'ALTER TABLE bookings DROP CONSTRAINT bookings_customer_id_fkey',
    { 'foreign keys': /0 foreign keys instead of 1/, schema: /fkey is missing/ },
  ],
  [
    'a foreign key that is not valid',
    `ALTER TABLE bookings DROP CONSTRAINT bookings_customer_id_fkey;
     ALTER TABLE bookings ADD CONSTRAINT bookings_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers NOT VALID`,
    { 'foreign keys': /is not valid/, schema: /fkey is different/ },
  ],
  [
    'an orphan under a foreign key that says it is valid',
    `SET session_replication_role = replica; UPDATE bookings SET customer_id = 999999 WHERE id = 3`,
    { 'no orphans': /bookings_customer_id_fkey.*999999/, contents: /bookings/ },
  ],
  [
    'a broken invariant',
    'UPDATE bookings SET ends = starts - 1 WHERE id IN (4, 5)',
    { 'invariant bookings end after they start': /2 violations/, contents: /bookings/ },
  ],
  [
    'a missing canary',
    `DELETE FROM durable_runbooks.canary WHERE id = 'canary-1'`,
    { canary: /was not found/, rows: /canary/ },
  ],
  [
    'an index out of order',
    // An operator class whose order is turned around after the index was built, as a changed collation does it.
    `CREATE FUNCTION asc_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)';
     CREATE OPERATOR CLASS turned FOR TYPE int USING btree AS OPERATOR 1 <(int, int), OPERATOR 2 <=(int, int), OPERATOR 3 =(int, int),
       OPERATOR 4 >=(int, int), OPERATOR 5 >(int, int), FUNCTION 1 asc_cmp(int, int);
     CREATE INDEX turned_around ON bookings (starts turned);
     CREATE OR REPLACE FUNCTION asc_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';`,
    { indexes: /turned_around/, schema: /turned_around is not in the backup/ },
  ],
  [
    'an invalid index',
    `CREATE INDEX half_built ON bookings (ends); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half_built'::regclass`,
    { indexes: /invalid: half_built/ },
  ],
])('%s is found', async (_title, sql, expected) => {
  const findings = await findingsAfter(sql);
  expect(Object.keys(findings).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, pattern] of Object.entries(expected)) expect(findings[name]).toMatch(pattern);
});

test('a canary that is older than the backup before shows that the dump is an old one', async () => {
  const folder = join(db.directory, 'backups/shop/production/b1');
  let restore: () => void = () => undefined;
  const findings = await findingsAfter('SELECT 1', () =>
    editManifest(folder, (manifest) => {
      const { canary } = manifest;
      manifest.canary = { id: 'canary-0', writtenAt: '' };
      restore = () => editManifest(folder, (again) => void (again.canary = canary));
    }),
  );
  restore();
  expect(findings['canary']).toMatch(/canary-0.*older than the backup before/);
});

test('without digests and schema the report says what it cannot see', async () => {
  const folder = join(db.directory, 'backups/shop/production/b1');
  let restore: () => void = () => undefined;
  await runActivity(createScratchActivities(db.deps).cloneDatabase, { from: restored, to: copy });
  await runSql(
    endpointOf(db.deps, copy).url,
    `UPDATE customers SET name = 'c0' WHERE id = 1; DROP VIEW starting`,
  );
  editManifest(folder, (manifest) => {
    const { tables, schemaDigest, largeObjectDigest } = manifest;
    // As backups of earlier versions are.
    manifest.tables = tables.map(({ digest: _digest, ...table }) => table);
    delete manifest.schemaDigest;
    delete manifest.largeObjectDigest;
    restore = () =>
      editManifest(folder, (again) => void Object.assign(again, { tables, schemaDigest, largeObjectDigest }));
  });
  const report = await validate(copy, false);
  restore();
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(report.checks.map(({ name }) => name)).not.toContain('contents');
  expect(report.unseen).toEqual([
    expect.stringMatching(/contents were not compared \(backups.contentDigest was off\)/),
    expect.stringMatching(/no record of the schema/),
  ]);
});

test('a record of the schema that is not the one of the manifest proves nothing', async () => {
  const path = join(db.directory, 'backups/shop/production/b1/schema.json');
  const before = readFileSync(path);
  writeFileSync(path, '{}');
  const report = await validate(restored, false);
  writeFileSync(path, before);
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([
    { name: 'schema', ok: false, detail: 'schema.json is not the one that the manifest is about' },
  ]);
});

test('an extension that did not come back is found', async () => {
  const folder = join(db.directory, 'backups/shop/production/b1');
  const findings = await findingsAfter('SELECT 1', () =>
    editManifest(folder, (manifest) => void manifest.extensions.push({ name: 'citext', version: '1.6' })),
  );
  editManifest(folder, (manifest) => void manifest.extensions.pop());
  expect(findings['extensions']).toMatch(/citext/);
});

test('a failing smoke test fails the copy', async () => {
  const smoke = db.deps.config.services['shop']!.restore.smoke!;
  smoke.environment['FAIL'] = '3';
  const report = await validate(restored);
  smoke.environment['FAIL'] = '0';
  expect(report.ok).toBe(false);
  const check = report.checks.find(({ name }) => name === 'smoke test');
  expect(check).toMatchObject({ ok: false });
  expect(check?.detail).toMatch(/status 3/);
});

test('the live database is not validated as a copy of the wrong server', async () => {
  db.deps.config.services['shop']!.environments['production']!.database.identity.systemIdentifier =
    '12345678901';
  const failure = await failureOf(validate(db.ref));
  db.deps.config.services['shop']!.environments['production']!.database.identity.systemIdentifier =
    pg.server.systemIdentifier;
  expect(failure.type).toBe('WrongDatabase');
});
