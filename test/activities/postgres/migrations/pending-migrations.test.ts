import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import { failureOf, runActivity } from '../../../support/postgres';
import { down, hashOf, read, rulesOf, second, up, useScripts, write } from './script-world';

const { postgres, database, record } = useScripts();

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
