import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Client } from 'pg';
import {
  createFingerprintActivities,
  readFingerprint,
} from '../../../../src/activities/postgres/inspection/fingerprint';
import { ensureBookkeeping } from '../../../../src/activities/postgres/session/bookkeeping';
import { takeFence } from '../../../../src/activities/postgres/session/fence';
import {
  deltasAgree,
  momentsIn,
  schemaDelta,
  type SchemaFingerprint,
} from '../../../../src/contract/schema-delta';
import {
  failureOf,
  runActivity,
  runSql,
  startTestPostgres,
  until,
  type TestPostgres,
} from '../../../support/postgres';

/** What PostgreSQL deparses differently after a restore, and some of everything else. */
const schema = `
  CREATE TYPE mood AS ENUM ('ok', 'great');
  CREATE TABLE bookings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status varchar(20) NOT NULL CHECK (status IN ('held', 'confirmed')),
    mood mood DEFAULT 'ok',
    starts_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX bookings_open ON bookings (starts_at) WHERE status IN ('held', 'confirmed');
  CREATE VIEW open_bookings AS SELECT id, status FROM bookings WHERE status IN ('held', 'confirmed');
  CREATE FUNCTION count_bookings() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.bookings';
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TRIGGER touched BEFORE UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION touch();
  ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
  CREATE POLICY all_of_it ON bookings USING (status IN ('held', 'confirmed'));
  CREATE SEQUENCE numbers;
  CREATE SCHEMA durable_runbooks;
  CREATE TABLE durable_runbooks.ledger (id int);`;

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: schema });
  await runSql(server.urlOf('postgres'), 'CREATE ROLE reader');
});
afterAll(() => server?.stop());

async function fingerprint(name: string): Promise<SchemaFingerprint> {
  const client = new Client({ connectionString: server.urlOf(name) });
  await client.connect();
  try {
    return await readFingerprint(client);
  } finally {
    await client.end();
  }
}

/** As a backup and its restore do it. */
async function cloneOf(name: string): Promise<string> {
  const clone = `${name}_clone`;
  const bin = (program: string) => join(server.server.binDirectory, program);
  await runSql(server.urlOf('postgres'), `CREATE DATABASE ${clone} TEMPLATE template0`);
  const dump = execFileSync(bin('pg_dump'), ['-Fc', server.urlOf(name)], { maxBuffer: 1 << 26 });
  execFileSync(bin('pg_restore'), ['--exit-on-error', '-d', server.urlOf(clone)], { input: dump });
  return clone;
}

async function deltaOf(name: string, sql: string) {
  const before = await fingerprint(name);
  await runSql(server.urlOf(name), sql);
  return schemaDelta(before, await fingerprint(name));
}

const CHANGE = `
  ALTER TABLE bookings ADD COLUMN channel varchar(10) CHECK (channel IN ('web', 'phone'));
  CREATE INDEX bookings_web ON bookings (id) WHERE channel IN ('web', 'phone');
  CREATE VIEW by_phone AS SELECT id FROM bookings WHERE channel IN ('phone', 'fax');
  ALTER TABLE bookings ALTER COLUMN mood SET NOT NULL;
  DROP FUNCTION count_bookings();`;

describe('fingerprints', () => {
  it('agree on what a change did here and on a restored clone, though the clone is deparsed differently', async () => {
    const { name } = await server.fresh();
    const clone = await cloneOf(name);
    const apart = schemaDelta(await fingerprint(name), await fingerprint(clone));
    // This is why schemas are not compared as they are: nothing is wrong with the clone.
    expect(apart.changed).toEqual(
      expect.arrayContaining([
        'constraint public.bookings.bookings_status_check',
        'index public.bookings_open',
        'view public.open_bookings',
      ]),
    );
    const rehearsed = await deltaOf(clone, CHANGE);
    const actual = await deltaOf(name, CHANGE);
    expect(deltasAgree(rehearsed, actual)).toEqual([]);
    expect(Object.keys(actual.added).sort()).toEqual([
      'column public.bookings.channel',
      'constraint public.bookings.bookings_channel_check',
      'index public.bookings_web',
      'view public.by_phone',
    ]);
    expect(actual.removed).toEqual(['function public.count_bookings()']);
    expect(actual.changed).toEqual(['column public.bookings.mood', 'order of columns public.bookings']);
  });

  it('agree but for a moment that is written down when something is made', async () => {
    const made = `CREATE TABLE visits (id int, day date DEFAULT 'now', at timestamptz DEFAULT '2020-01-01');
      ALTER TABLE bookings ADD COLUMN seen timestamp DEFAULT 'now';
      CREATE VIEW recent AS SELECT id FROM bookings WHERE starts_at > 'now'::timestamptz;`;
    const [first, second, third] = await Promise.all([server.fresh(), server.fresh(), server.fresh()]);
    const rehearsed = await deltaOf(first.name, made);
    const actual = await deltaOf(second.name, made);
    expect(deltasAgree(rehearsed, actual)).toEqual([]);
    expect(momentsIn(rehearsed, actual)).toEqual(['column public.bookings.seen', 'view public.recent']);
    const other = await deltaOf(third.name, made.replace('starts_at >', 'starts_at <'));
    expect(deltasAgree(rehearsed, other)).toEqual([
      'view public.recent was added with another definition than rehearsed',
    ]);
  });

  it('differ by name and in words where the same file did something else', async () => {
    const { name } = await server.fresh();
    const clone = await cloneOf(name);
    const rehearsed = await deltaOf(clone, CHANGE);
    const other = CHANGE.replace(
      "'web', 'phone'));\n  CREATE INDEX",
      "'web', 'fax'));\n  CREATE INDEX",
    ).replace(
      'ALTER COLUMN mood',
      'ALTER COLUMN id SET STATISTICS 10, ALTER COLUMN starts_at DROP DEFAULT, ALTER COLUMN mood',
    );
    const differences = deltasAgree(rehearsed, await deltaOf(name, `${other} CREATE TABLE extra (a int);`));
    expect(differences).toEqual(
      expect.arrayContaining([
        'constraint public.bookings.bookings_channel_check was added with another definition than rehearsed',
        'table public.extra was added, unlike in the rehearsal',
        'column public.bookings.starts_at was changed, unlike in the rehearsal',
      ]),
    );
  });

  it('are equal before a change and after it was taken back', async () => {
    const { name } = await server.fresh();
    const before = await fingerprint(name);
    await runSql(
      server.urlOf(name),
      'ALTER TABLE bookings ADD COLUMN a int; ALTER TABLE bookings DROP COLUMN a;',
    );
    expect(await fingerprint(name)).toEqual(before);
  });

  it.each([
    ['column public.bookings.status', 'ALTER TABLE bookings ALTER COLUMN status DROP NOT NULL'],
    [
      'constraint public.bookings.bookings_status_check',
      "ALTER TABLE bookings DROP CONSTRAINT bookings_status_check; ALTER TABLE bookings ADD CONSTRAINT bookings_status_check CHECK (status IN ('held', 'confirmed')) NOT VALID",
    ],
    [
      'index public.bookings_open',
      'DROP INDEX bookings_open; CREATE INDEX bookings_open ON bookings (starts_at)',
    ],
    ['view public.open_bookings', 'ALTER VIEW open_bookings SET (security_invoker = true)'],
    [
      'function public.touch()',
      'CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$',
    ],
    ['trigger public.bookings.touched', 'ALTER TABLE bookings DISABLE TRIGGER touched'],
    ['policy public.bookings.all_of_it', 'ALTER POLICY all_of_it ON bookings USING (true)'],
    ['enum public.mood', "ALTER TYPE mood ADD VALUE 'sad'"],
    ['sequence public.numbers', 'ALTER SEQUENCE numbers INCREMENT 5'],
    ['table public.bookings', 'ALTER TABLE bookings FORCE ROW LEVEL SECURITY'],
  ])('see a change of %s', async (identity, sql) => {
    const { name } = await server.fresh();
    const { changed, added, removed } = await deltaOf(name, sql);
    expect([changed, Object.keys(added), removed]).toEqual([[identity], [], []]);
  });

  it('see grants and extensions, and neither our own tables nor rows', async () => {
    const { name } = await server.fresh();
    const { added } = await deltaOf(name, 'GRANT SELECT ON bookings TO reader');
    expect(Object.keys(added)).toEqual(['grant public.bookings']);
    const quiet = await deltaOf(
      name,
      "INSERT INTO bookings (status) VALUES ('held'); ALTER TABLE durable_runbooks.ledger ADD COLUMN b int; SELECT nextval('numbers');",
    );
    expect(quiet).toEqual({ added: {}, removed: [], changed: [] });
  });
});

describe('saveSchema', () => {
  const fence = { target: 'shop/production', token: 5 };

  it('does not save what a later step made of the schema', async () => {
    const shop = await server.fresh({ sql: 'DROP SCHEMA durable_runbooks CASCADE' });
    const { saveSchema } = createFingerprintActivities(shop.deps);
    const [locker, later] = [new Client(shop.url), new Client(shop.url)];
    await Promise.all([locker.connect(), later.connect()]);
    try {
      await ensureBookkeeping(later);
      await locker.query('BEGIN; LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE');
      // Its reading of the view waits for the lock.
      const late = runActivity(saveSchema, { database: shop.ref, id: 'before', fence });
      const failure = failureOf(late);
      await until(async () => {
        const { rows } = await later.query('SELECT 1 FROM pg_locks WHERE NOT granted');
        return rows.length > 0;
      });
      await later.query('BEGIN');
      await takeFence(later, fence, 1, 'dr:test-run#8/1');
      await later.query('COMMIT');
      await locker.query('COMMIT');
      expect(await failure).toMatchObject({ type: 'StaleFencingToken' });
      expect(await shop.query('SELECT id FROM durable_runbooks.fingerprint')).toEqual([]);
    } finally {
      await Promise.all([locker.end(), later.end()]);
    }
  });
});
