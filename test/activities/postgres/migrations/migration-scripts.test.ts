import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import { failureOf, runActivity, type TestDatabase } from '../../../support/postgres';
import { down, read, rulesOf, second, up, useScripts, write } from './script-world';

const { database } = useScripts();

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
