import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import { ensureBookkeeping } from '../../../../src/activities/postgres/session/bookkeeping';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import type { Hazard, Migration, MigrationSet } from '../../../../src/contract/migration';

const template = `
  CREATE TABLE shop (id int PRIMARY KEY, name varchar(20), note text, price numeric(8, 2), at timestamptz, flag bool);
  INSERT INTO shop SELECT i, 'shop ' || i, 'note', i, now(), true FROM generate_series(1, 100) AS i;
  CREATE TABLE part (id int, shop_id int);
  INSERT INTO part SELECT i, i FROM generate_series(1, 100) AS i;
  CREATE TYPE mood AS ENUM ('good', 'bad')`;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ template });
});
afterAll(() => postgres.stop());

type Files = Record<string, string | Buffer>;

async function database(files: Files, options?: FreshOptions): Promise<TestDatabase> {
  const db = await postgres.fresh(options);
  mkdirSync(join(db.directory, 'migrations'));
  write(db, files);
  return db;
}

function write(db: TestDatabase, files: Files): void {
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(db.directory, 'migrations', name), text);
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

const read = (db: TestDatabase, files: string[] = []): Promise<MigrationSet> =>
  runActivity(createMigrationActivities(db.deps).readMigrations, { ...db.place, files });

it('tells those who approve what the SQL is, and nothing that must not stand in a history', async () => {
  const db = await database({
    '1_a.sql': `-- why
ALTER TABLE shop /* here */ ADD COLUMN b text DEFAULT 'x';
CREATE ROLE app_${process.pid} PASSWORD 'hunter2';
INSERT INTO shop (id, name) VALUES (7, 'a-key-that-is-longer-than-a-word');`,
    '1_a.down.sql': 'ALTER TABLE shop\n  DROP COLUMN b;',
    '2_b.sql': `UPDATE shop SET note = ''; ${'SELECT 1; '.repeat(500)}`,
  });
  const [first, second] = (await read(db)).pending;
  expect(first!.sql).toEqual({
    up: `ALTER TABLE shop ADD COLUMN b text DEFAULT 'x'; CREATE ROLE app_${process.pid} PASSWORD '***'; INSERT INTO shop (id, name) VALUES (7, '…')`,
    down: 'ALTER TABLE shop DROP COLUMN b',
  });
  expect(second!.sql!.down).toBeNull();
  expect(second!.sql!.up).toMatch(/^UPDATE shop SET note = ''; SELECT 1; .* …$/);
  expect(second!.sql!.up.length).toBeLessThanOrEqual(600);
});

async function record(
  db: TestDatabase,
  rows: { migration: string; text: string; direction?: 'up' | 'down'; statement?: number; status?: string }[],
): Promise<void> {
  const client = new Client({ connectionString: postgres.urlOf(db.name) });
  await client.connect();
  await ensureBookkeeping(client).finally(() => client.end());
  for (const { migration, text, direction = 'up', statement = 0, status = 'finished' } of rows) {
    await db.query(
      'INSERT INTO durable_runbooks.ledger (migration, direction, statement, sha256, status) VALUES ($1, $2, $3, $4, $5)',
      [migration, direction, statement, hashOf(text), status],
    );
  }
}

const rulesOf = ({ hazards }: Migration, level?: Hazard['level']): string[] =>
  hazards
    .filter((one) => level === undefined || one.level === level)
    .map(({ rule, line }) => `${rule}:${line}`);

const up = 'ALTER TABLE shop ADD COLUMN phone text;\n';
const down = 'ALTER TABLE shop DROP COLUMN phone;\n';
const second = 'CREATE INDEX CONCURRENTLY shop_at ON shop (at);\n';

describe('reading what is pending', () => {
  it('takes every script in the order of the names, and neither down scripts nor anything else', async () => {
    const db = await database({
      '02.sql': second,
      '01.sql': up,
      '01.down.sql': down,
      '10.sql': 'SELECT 1; SELECT 2',
      'README.md': '# not SQL',
      '.swp.sql': 'half',
    });
    mkdirSync(join(db.directory, 'migrations', 'old.sql'));
    const { pending, applied } = await read(db);
    expect(applied).toEqual([]);
    expect(pending.map(({ name }) => name)).toEqual(['01.sql', '02.sql', '10.sql']);
    expect(pending[0]).toMatchObject({
      sha256: hashOf(up),
      downSha256: hashOf(down),
      statements: 1,
      transactional: true,
    });
    expect(pending[1]).toMatchObject({ downSha256: null, transactional: false });
    expect(pending[2]).toMatchObject({ statements: 2, transactional: true });
  });

  it('keeps the order in which scripts are asked for', async () => {
    const db = await database({ '01.sql': up, '02.sql': second });
    const { pending } = await read(db, ['02.sql', '01.sql']);
    expect(pending.map(({ name }) => name)).toEqual(['02.sql', '01.sql']);
  });

  it('says how long the configuration permits the longer of its two scripts', async () => {
    const migrations = { statementTimeoutSeconds: 10_800, lockDeadlineSeconds: 60 };
    const db = await database(
      {
        '01.sql': 'CREATE INDEX CONCURRENTLY big ON items (id)',
        '02.sql': up,
        '02.down.sql': 'SELECT 1; SELECT 2',
      },
      { service: { migrations } },
    );
    const { pending } = await read(db);
    expect(pending.map((one) => one.permittedMs)).toEqual([2 * 10_860_000, 4 * 10_860_000]);
  });

  it('creates nothing in a database that was never migrated', async () => {
    const db = await database({ '01.sql': up });
    expect((await read(db)).pending).toHaveLength(1);
    expect(await runActivity(createMigrationActivities(db.deps).readLedger, { database: db.ref })).toEqual(
      [],
    );
    expect(await db.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'durable_runbooks'`)).toEqual([]);
  });

  it('reads nothing from another database than the registered one', async () => {
    const db = await database({ '01.sql': up }, { identity: { systemIdentifier: '1234567890123456789' } });
    expect((await failureOf(read(db))).type).toBe('WrongDatabase');
  });

  it('reads every sample of a service that has none yet', async () => {
    const db = await database({});
    expect(await read(db)).toEqual({ pending: [], applied: [] });
  });
});

describe('the ledger decides', () => {
  it('leaves out what is applied with the same content, and says so when it was asked for', async () => {
    const db = await database({ '01.sql': up, '02.sql': second });
    await record(db, [{ migration: '01.sql', text: up }]);
    expect((await read(db)).pending.map(({ name }) => name)).toEqual(['02.sql']);
    expect(await read(db, ['01.sql'])).toEqual({ pending: [], applied: ['01.sql'] });
    expect(
      await runActivity(createMigrationActivities(db.deps).readLedger, { database: db.ref }),
    ).toMatchObject([{ name: '01.sql', sha256: hashOf(up) }]);
  });

  it('refuses a script that changed by one byte since it was applied, and names both hashes', async () => {
    const db = await database({ '01.sql': `${up}\n`, '02.sql': second });
    await record(db, [{ migration: '01.sql', text: up }]);
    for (const files of [[], ['01.sql']]) {
      const { type, nonRetryable, message } = await failureOf(read(db, files));
      expect([type, nonRetryable]).toEqual(['MigrationConflict', true]);
      expect(message).toContain(hashOf(up).slice(0, 12));
      expect(message).toContain(hashOf(`${up}\n`).slice(0, 12));
    }
  });

  it('takes what was taken back as pending again, also with other content', async () => {
    const db = await database({ '01.sql': `${up}-- mended\n`, '01.down.sql': down });
    await record(db, [
      { migration: '01.sql', text: up },
      { migration: '01.sql', text: down, direction: 'down' },
    ]);
    expect((await read(db)).pending).toHaveLength(1);
  });

  it('continues a script that stopped half-way, and says where', async () => {
    const text = 'CREATE INDEX CONCURRENTLY a ON shop (name);\nCREATE INDEX CONCURRENTLY b ON shop (note);\n';
    const db = await database({ '01.sql': text });
    await record(db, [
      { migration: '01.sql', text, statement: 1 },
      { migration: '01.sql', text, statement: 2, status: 'started' },
    ]);
    const { pending, applied } = await read(db, ['01.sql']);
    expect(applied).toEqual([]);
    const hazard = pending[0]?.hazards.find(({ rule }) => rule === 'unfinished');
    expect(hazard).toMatchObject({ level: 'warning', line: 2 });
    write(db, { '01.sql': text.replace('note', 'flag') });
    expect((await failureOf(read(db))).type).toBe('MigrationConflict');
  });

  it('never calls a script applied whose down script stopped half-way', async () => {
    const back = 'DROP INDEX CONCURRENTLY a;\nDROP INDEX CONCURRENTLY b;\n';
    const db = await database({ '01.sql': up, '01.down.sql': back });
    await record(db, [
      { migration: '01.sql', text: up },
      { migration: '01.sql', text: back, direction: 'down', statement: 1 },
    ]);
    for (const files of [[], ['01.sql']]) {
      const { type, message } = await failureOf(read(db, files));
      expect([type, message]).toEqual(['MigrationConflict', expect.stringContaining('01.down.sql')]);
    }
  });

  it('refuses as well what was applied in part and then taken back in part', async () => {
    const db = await database({ '01.sql': up, '01.down.sql': down });
    await record(db, [
      { migration: '01.sql', text: up, statement: 1 },
      { migration: '01.sql', text: down, direction: 'down', statement: 1, status: 'started' },
    ]);
    expect((await failureOf(read(db))).type).toBe('MigrationConflict');
  });

  it('says what it leaves out, and which earlier ones are not asked for', async () => {
    const db = await database({
      '01.sql': up,
      '02.sql': 'SELECT 2',
      '03.sql': 'SELECT 3',
      'more fields.sql': up,
    });
    await record(db, [{ migration: '01.sql', text: up }]);
    expect(await read(db, ['03.sql'])).toMatchObject({
      earlier: ['02.sql'],
      skipped: [{ file: 'more fields.sql', why: expect.stringContaining('letters') as string }],
    });
    expect(await read(db, [])).not.toHaveProperty('earlier');
  });

  it('warns where names and numbers differ about the order', async () => {
    const db = await database({ '9_a.sql': up, '10_b.sql': 'SELECT 2' });
    const { pending } = await read(db);
    expect(pending.map((one) => rulesOf(one).includes('name-order:1'))).toEqual([false, true]);
    expect(pending.map(({ name }) => name)).toEqual(['10_b.sql', '9_a.sql']);
  });

  it('warns of a script that is applied under another name', async () => {
    const db = await database({ '01_renamed.sql': up, '02.sql': second });
    await record(db, [{ migration: '01.sql', text: up }]);
    const { pending } = await read(db);
    expect(pending.map((one) => rulesOf(one).includes('applied-before:1'))).toEqual([true, false]);
  });

  it('takes what another tool applied for applied, by name or by hash, until our ledger says otherwise', async () => {
    const ledgerQuery = 'SELECT what FROM other_tool';
    const options = {
      service: { migrations: { ledgerQuery } },
      sql: `CREATE TABLE other_tool (what text); INSERT INTO other_tool VALUES ('01.sql'), ('${hashOf(second)}'), ('03.sql')`,
    };
    const db = await database(
      { '01.sql': up, '02.sql': second, '03.sql': 'SELECT 3', '04.sql': 'SELECT 4' },
      options,
    );
    expect((await read(db)).pending.map(({ name }) => name)).toEqual(['04.sql']);
    expect(await read(db, ['04.sql'])).not.toHaveProperty('earlier');
    await record(db, [
      { migration: '03.sql', text: 'SELECT 3' },
      { migration: '03.sql', text: 'SELECT 0', direction: 'down' },
    ]);
    expect((await read(db)).pending.map(({ name }) => name)).toEqual(['03.sql', '04.sql']);
  });

  it.each([
    {
      tool: 'golang-migrate',
      table: `schema_migrations AS SELECT 9::bigint AS version, false AS dirty`,
      ledgerQuery: 'SELECT version FROM schema_migrations WHERE NOT dirty',
      files: ['9_a.up.sql', '010_b.up.sql', '8_c.up.sql'],
      pending: ['010_b.up.sql'],
    },
    {
      tool: 'diesel',
      table: `__diesel_schema_migrations AS SELECT '20240101120000' AS version`,
      ledgerQuery: 'SELECT version FROM __diesel_schema_migrations',
      files: ['2023-01-01-120000_a/up.sql', '2024-01-01-120000_b_c/up.sql'],
      pending: ['2023-01-01-120000_a'],
    },
  ])('understands the versions of $tool', async ({ table, ledgerQuery, files, pending }) => {
    const db = await postgres.fresh({
      service: { migrations: { ledgerQuery } },
      sql: `CREATE TABLE ${table}`,
    });
    for (const file of files) {
      mkdirSync(dirname(join(db.directory, 'migrations', file)), { recursive: true });
      write(db, { [file]: 'SELECT 1' });
    }
    expect((await read(db)).pending.map(({ name }) => name)).toEqual(pending);
  });

  it('knows a database without any table', async () => {
    const db = await database({ '01.sql': 'CREATE TABLE first (id int)' }, { sql: 'DROP TABLE shop, part' });
    expect(await read(db)).toMatchObject({ empty: true });
  });

  it('reads migrations in folders, and names their scripts', async () => {
    const db = await postgres.fresh();
    const folder = join(db.directory, 'migrations', '2026_phone');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'up.sql'), 'ALTER TABLE shop DROP COLUMN note;');
    writeFileSync(join(folder, 'down.sql'), 'ALTER TABLE shop ADD COLUMN note text;');
    const { pending } = await read(db);
    expect(pending).toMatchObject([{ name: '2026_phone', file: '2026_phone/up.sql' }]);
    expect(pending[0]?.hazards).toMatchObject([{ migration: '2026_phone/up.sql', rule: 'data-loss' }]);
  });

  it('warns of a script that comes before one that is already applied', async () => {
    const db = await database({ '01.sql': up, '02.sql': second });
    await record(db, [{ migration: '02.sql', text: second }]);
    expect(rulesOf((await read(db)).pending[0]!)).toContain('out-of-order:1');
  });
});

describe('names and files', () => {
  it.each([
    '../secret.sql',
    '../migrations/01.sql',
    './01.sql',
    'sub/01.sql',
    '/etc/passwd',
    '/etc/passwd.sql',
    '..',
    '.hidden.sql',
    '01.down.sql',
    '01',
    '01.sql\0.sql',
    '..\\secret.sql',
    '',
  ])('refuses the name %j', async (name) => {
    const db = await database({ '01.sql': up, '01.down.sql': down, '.hidden.sql': up });
    writeFileSync(join(db.directory, 'secret.sql'), 'SELECT 1');
    mkdirSync(join(db.directory, 'migrations', 'sub'));
    writeFileSync(join(db.directory, 'migrations', 'sub', '01.sql'), up);
    expect((await failureOf(read(db, [name]))).type).toBe('InvalidInput');
  });

  it('refuses a link that leads out of the directory', async () => {
    const db = await database({});
    writeFileSync(join(db.directory, 'secret.sql'), 'SELECT 1');
    symlinkSync('../secret.sql', join(db.directory, 'migrations', '01.sql'));
    for (const files of [[], ['01.sql']])
      expect((await failureOf(read(db, files))).type).toBe('InvalidInput');
  });

  it('refuses a name that is mentioned and not there, with the nearest one', async () => {
    const db = await database({ '01_phone.sql': up });
    const { readMigrations } = createMigrationActivities(db.deps);
    const reading = (mentioned: string[]) =>
      runActivity(readMigrations, { ...db.place, files: [], mentioned });
    expect((await reading(['01_phone.sql'])).pending).toHaveLength(1);
    const { type, message } = await failureOf(reading(['01_phon.sql']));
    expect([type, message]).toEqual([
      'InvalidInput',
      expect.stringContaining('did you mean "01_phone.sql"?'),
    ]);
  });

  it('refuses a name that is given twice', async () => {
    const db = await database({ '01.sql': up });
    expect((await failureOf(read(db, ['01.sql', '01.sql']))).type).toBe('InvalidInput');
  });

  it('says what is there when a file is missing', async () => {
    const db = await database({ '01.sql': up });
    const { type, message } = await failureOf(read(db, ['02.sql']));
    expect([type, message]).toEqual(['MigrationMissing', expect.stringContaining('01.sql')]);
    rmSync(join(db.directory, 'migrations'), { recursive: true });
    expect((await failureOf(read(db))).type).toBe('MigrationMissing');
  });

  it.each([
    ['01.sql', Buffer.from([0x53, 0xe9])],
    ['01.sql', ''],
    ['01.down.sql', '-- nothing\n'],
    ['01.down.sql', 'COMMIT'],
  ])('refuses %s that holds %j', async (name, content) => {
    const db = await database({ '01.sql': up, '01.down.sql': down, [name]: content });
    const { type, message } = await failureOf(read(db));
    expect([type, message]).toEqual(['MigrationInvalid', expect.stringContaining(name)]);
  });
});

describe('hazards', () => {
  /** Whether the statement really gives the table another file on disk. */
  async function rewritesFor(db: TestDatabase, sql: string): Promise<boolean> {
    const file = async () => (await db.query(`SELECT pg_relation_filenode('shop') AS file`))[0]?.['file'];
    const before = await file();
    await db.query(sql);
    return (await file()) !== before;
  }

  it.each([
    ['ALTER TABLE shop ALTER id TYPE bigint', true],
    ['ALTER TABLE shop ALTER name TYPE varchar(40)', false],
    ['ALTER TABLE shop ALTER name TYPE varchar', false],
    ['ALTER TABLE shop ALTER name TYPE text', false],
    ['ALTER TABLE shop ALTER name TYPE varchar(10)', true],
    ['ALTER TABLE shop ALTER note TYPE varchar', false],
    ['ALTER TABLE shop ALTER note TYPE varchar(90)', true],
    ['ALTER TABLE shop ALTER price TYPE numeric(12, 2)', false],
    ['ALTER TABLE shop ALTER price TYPE numeric', false],
    ['ALTER TABLE shop ALTER price TYPE numeric(12, 4)', true],
    ['ALTER TABLE shop ALTER price TYPE numeric(12)', true],
    ["ALTER TABLE shop ALTER at TYPE timestamp USING at AT TIME ZONE 'UTC'", true],
    ['ALTER TABLE shop ADD c text', false],
    ["ALTER TABLE shop ADD c text DEFAULT 'x' NOT NULL", false],
    ['ALTER TABLE shop ADD c timestamptz DEFAULT now()', false],
    ['ALTER TABLE shop ADD c timestamptz DEFAULT clock_timestamp()', true],
    ['ALTER TABLE shop ADD c uuid DEFAULT gen_random_uuid()', true],
    ['ALTER TABLE shop ADD c bigserial', true],
    ['ALTER TABLE shop ADD c int GENERATED ALWAYS AS IDENTITY', true],
    ['ALTER TABLE shop ADD c int GENERATED ALWAYS AS (id * 2) STORED', true],
    ['ALTER TABLE shop SET UNLOGGED', true],
    ['ALTER TABLE shop SET (fillfactor = 90)', false],
    ['ALTER TABLE shop DROP COLUMN note', false],
    ['VACUUM FULL shop', true],
    ['CLUSTER shop USING shop_pkey', true],
  ])('knows as the server does whether the table is written anew: %s: %p', async (sql, expected) => {
    const db = await database({ '01.sql': `-- é why\n${sql};` });
    const { pending } = await read(db);
    expect(rulesOf(pending[0]!, 'error').includes('table-rewrite:2')).toBe(expected);
    expect(await rewritesFor(db, sql)).toBe(expected);
  });

  it('has nothing against work on a table without a row, in whatever partition', async () => {
    const db = await database({
      '01.sql': 'ALTER TABLE nothing ALTER id TYPE bigint;',
      '02.sql': 'ALTER TABLE parts ALTER id TYPE bigint;',
    });
    await db.query(`CREATE TABLE nothing (id int);
      CREATE TABLE parts (id int) PARTITION BY LIST (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)`);
    const errors = async () => (await read(db)).pending.map((one) => rulesOf(one, 'error'));
    expect(await errors()).toEqual([[], []]);
    await db.query('INSERT INTO parts VALUES (1)');
    expect(await errors()).toEqual([[], ['table-rewrite:1']]);
  });

  it('has nothing against work on tables that the script makes itself', async () => {
    const text = 'CREATE TABLE fresh (id int); ALTER TABLE fresh ALTER id TYPE bigint; DROP TABLE fresh;';
    const db = await database({ '01.sql': text });
    expect(rulesOf((await read(db)).pending[0]!, 'error')).toEqual([]);
  });

  it('says what is lost for good, and in which line', async () => {
    const text =
      '-- é\nALTER TABLE shop DROP COLUMN note;\n\nTRUNCATE part;\nDELETE FROM shop WHERE id = 1;\nDROP TABLE part;';
    const db = await database({ '01.sql': text });
    expect(rulesOf((await read(db)).pending[0]!, 'error')).toEqual([
      'data-loss:2',
      'data-loss:4',
      'data-loss:6',
    ]);
  });

  it('counts the statements that lock tables in one transaction', async () => {
    const text = 'ALTER TABLE shop ADD a text;\nALTER TABLE part ADD b text;\n';
    const db = await database({ '01.sql': text, '02.sql': `-- runbooks: split\n${text}`, '03.sql': up });
    const [first, split, one] = (await read(db)).pending;
    expect(rulesOf(first!)).toContain('several-locks:2');
    expect(rulesOf(split!).join()).not.toContain('several-locks');
    expect(rulesOf(one!).join()).not.toContain('several-locks');
  });

  it.each([
    ['ALTER TABLE shop DROP COLUMN phone', true],
    ['DROP TABLE part', true],
    ['DROP SCHEMA s CASCADE', true],
    ["UPDATE shop SET note = ''", true],
    ['DELETE FROM shop WHERE id = 1', true],
    ['TRUNCATE part', true],
    ['ALTER TABLE shop ALTER price TYPE int', true],
    ['WITH gone AS (DELETE FROM shop RETURNING 1) SELECT count(*) FROM gone', true],
    ['DO $$ BEGIN DELETE FROM shop; END $$', true],
    ["INSERT INTO shop (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = ''", true],
    ['INSERT INTO shop (id) VALUES (1) ON CONFLICT DO NOTHING', false],
    ['DROP OWNED BY CURRENT_USER', true],
    ['EXPLAIN ANALYZE DELETE FROM part', true],
    ['CREATE SEQUENCE s; ALTER SEQUENCE s RESTART', true],
    ['SELECT forget()', true],
    ['SELECT made_by_an_earlier_file()', true],
    ['SELECT count(forget()) FROM part', true],
    ['SELECT lo_unlink(1)', true],
    ['SELECT look(), count(*), now(), gen_random_uuid() FROM part', false],
    ['CREATE VIEW v AS SELECT forget() AS gone', false],
    ['DROP INDEX shop_at', false],
    ['DROP VIEW v', false],
    ['ALTER TABLE shop DROP CONSTRAINT c', false],
    ['CREATE OR REPLACE VIEW v AS SELECT 1 AS a', false],
  ])('a down script with %s destroys data: %p', async (text, destroys) => {
    const sql = `CREATE FUNCTION forget() RETURNS int LANGUAGE sql AS 'DELETE FROM part RETURNING 1';
      CREATE FUNCTION look() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'`;
    const db = await database({ '01.sql': up, '01.down.sql': `SELECT 1;\n${text};` }, { sql });
    const { pending } = await read(db);
    const found = pending[0]?.hazards.find(({ rule }) => rule === 'down-destroys-data');
    expect(found === undefined ? undefined : [found.migration, found.line]).toEqual(
      destroys ? ['01.down.sql', 2] : undefined,
    );
  });
});

describe('a migration tool instead of files', () => {
  it('is one pending migration whose hash follows its command line and its files', async () => {
    const service = { migrations: { command: { run: ['tool', 'deploy'] } } };
    const db = await database({ '01.sql': up }, { service });
    const { pending } = await read(db);
    expect(pending).toMatchObject([{ transactional: false, downSha256: null }]);
    expect(pending[0]?.name).toContain('tool deploy');
    expect((await read(db)).pending[0]?.sha256).toBe(pending[0]?.sha256);
    write(db, { '02.sql': second });
    expect((await read(db)).pending[0]?.sha256).not.toBe(pending[0]?.sha256);
  });
});
