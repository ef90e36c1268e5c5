import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseScript, type Script } from '../../../../src/activities/postgres/migrations/parse';
import { failureOf } from '../../../support/postgres';

const parse = (text: string | Buffer): Promise<Script> => parseScript('one.sql', Buffer.from(text as string));
const refused = (text: string | Buffer) => failureOf(parse(text));

describe('what a script is made of', () => {
  it('counts lines and offsets of statements behind characters of several bytes', async () => {
    const text =
      "-- Ä first\n/* é */ SELECT 'ü😀';\n-- about the second\n\n  ALTER TABLE x ADD y int;\n;;\nSELECT 1 -- end\n";
    const { statements } = await parse(text);
    expect(statements.map(({ number, line }) => [number, line])).toEqual([
      [1, 2],
      [2, 5],
      [3, 7],
    ]);
    expect(statements.map((one) => one.text)).toEqual([
      "SELECT 'ü😀'",
      'ALTER TABLE x ADD y int',
      'SELECT 1 -- end',
    ]);
    for (const { offset, text: sql } of statements) expect(text.slice(offset, offset + sql.length)).toBe(sql);
  });

  it('does not take a semicolon in a string, comment or body for the end of a statement', async () => {
    const { statements } = await parse(
      "SELECT 'a;b'; /* ; */ CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT 1; SELECT 2; $x$;",
    );
    expect(statements).toHaveLength(2);
  });

  it('understands files with the line ends of Windows', async () => {
    const { statements } = await parse('SELECT 1;\r\nSELECT 2;\r\n');
    expect(statements.map(({ line, text }) => [line, text])).toEqual([
      [1, 'SELECT 1'],
      [2, 'SELECT 2'],
    ]);
  });

  it.each([
    ['CREATE INDEX CONCURRENTLY i ON t (a)', false],
    ['CREATE INDEX i ON t (a)', true],
    ['DROP INDEX CONCURRENTLY i', false],
    ['DROP INDEX i', true],
    ['REINDEX INDEX CONCURRENTLY i', false],
    ['REINDEX (CONCURRENTLY) INDEX i', false],
    ['REINDEX (CONCURRENTLY off) INDEX i', true],
    ['VACUUM t', false],
    ['ANALYZE t', true],
    ['ALTER TABLE p DETACH PARTITION c CONCURRENTLY', false],
    ['ALTER TABLE p DETACH PARTITION c', true],
    ["ALTER TYPE e ADD VALUE 'new'", true],
    ["ALTER TYPE e ADD VALUE 'new'; SELECT 1", true],
    ["ALTER TYPE e ADD VALUE 'new'; ALTER TABLE t ALTER c SET DEFAULT 'new'", false],
    ["ALTER TYPE e RENAME VALUE 'old' TO 'new'; UPDATE t SET c = 'new'", true],
  ])('%s: may run in a transaction: %p', async (text, transactional) => {
    expect((await parse(text)).transactional).toBe(transactional);
  });

  it('splits where its head says so, and only there', async () => {
    expect(await parse('-- why\n-- runbooks: split\nSELECT 1; SELECT 2')).toMatchObject({
      split: true,
      transactional: false,
    });
    expect(await parse('SELECT 1;\n-- runbooks: split\nSELECT 2')).toMatchObject({ split: false });
    expect(await parse("SELECT '\n-- runbooks: split\n'")).toMatchObject({ split: false });
  });

  it('accepts every migration of the sample', async () => {
    const folder = join(__dirname, '../../../../examples/booking/migrations');
    for (const name of readdirSync(folder)) {
      const script = await parseScript(name, readFileSync(join(folder, name)));
      expect(script.statements.length).toBeGreaterThan(0);
      expect(script.transactional).toBe(!name.includes('concurrently'));
    }
  });
});

describe('what PostgreSQL would not understand', () => {
  it('shows the line, a caret below the place and the SQLSTATE, behind characters of several bytes', async () => {
    const { type, nonRetryable, message } = await refused("SELECT 'äöü😀';\nSELECT '😀', é FRMO (x;\n");
    expect([type, nonRetryable]).toEqual(['MigrationInvalid', true]);
    expect(message).toContain('one.sql:2: syntax error at or near "("');
    expect(message).toContain('SQLSTATE 42601');
    const [, line, caret] = /\n {2}(.*)\n {2}( *\^)/.exec(message) ?? [];
    expect(line).toBe("SELECT '😀', é FRMO (x;");
    expect(caret?.indexOf('^')).toBe(line?.indexOf('('));
  });

  it('shows the beginning of a string that is never closed', async () => {
    const { message } = await refused("SELECT 1;\nSELECT 'open;\nSELECT 2;\n");
    expect(message).toContain('one.sql:2: unterminated quoted string');
    expect(message).toContain("\n  SELECT 'open;\n         ^");
  });

  it('says that commands of psql are none of PostgreSQL', async () => {
    const { type, message } = await refused('SELECT 1;\n\\i other.sql\n');
    expect(type).toBe('MigrationInvalid');
    expect(message).toContain('one.sql:2:');
    expect(message).toContain('commands of psql');
  });

  it('says that data behind COPY works in psql only', async () => {
    for (const text of ['COPY t FROM stdin;\n1\t2\n\\.\n', 'COPY t FROM STDIN;']) {
      const { type, message } = await refused(text);
      expect([type, message]).toEqual(['MigrationInvalid', expect.stringContaining('in psql only')]);
    }
  });
});

describe('what is no script', () => {
  it.each([
    ['', 'is empty'],
    [' \n\t\n', 'is empty'],
    ['-- nothing but a comment\n;;\n', 'holds no statement'],
    ['\uFEFFSELECT 1', 'byte order mark'],
    ["SELECT 'a\0b'", 'NUL character'],
  ])('refuses %j: %s', async (text, why) => {
    const { type, message } = await refused(text);
    expect([type, message]).toEqual(['MigrationInvalid', expect.stringContaining(why)]);
  });

  it('names the byte and the line of what is not UTF-8, also behind a real replacement character', async () => {
    const latin1 = Buffer.concat([
      Buffer.from("SELECT 'ä\uFFFD';\nSELECT '"),
      Buffer.from([0xe9]),
      Buffer.from("'"),
    ]);
    const { type, message } = await refused(latin1);
    expect(type).toBe('MigrationInvalid');
    expect(message).toContain(`is not UTF-8: byte ${latin1.indexOf(0xe9)}, in line 2,`);
  });

  it('refuses a character that is cut off at the end', async () => {
    const { message } = await refused(
      Buffer.concat([Buffer.from('SELECT 1 -- '), Buffer.from([0xf0, 0x9f])]),
    );
    expect(message).toContain('byte 12,');
  });

  it('refuses more than 5 MB before parsing them', async () => {
    // A parser would say something else.
    const { message } = await refused(Buffer.alloc(5 * 1024 * 1024 + 1, 'no SQL;'));
    expect(message).toContain('5242881 bytes, more than 5242880');
  });
});

describe('what a script may not do', () => {
  it.each([
    ['BEGIN; SELECT 1', 'transaction control'],
    ['START TRANSACTION', 'transaction control'],
    ['COMMIT', 'transaction control'],
    ['END', 'transaction control'],
    ['ROLLBACK', 'transaction control'],
    ['ABORT', 'transaction control'],
    ['SAVEPOINT a', 'transaction control'],
    ['RELEASE a', 'transaction control'],
    ["PREPARE TRANSACTION 'x'", 'transaction control'],
    ["COMMIT PREPARED 'x'", 'transaction control'],
    ['SET TRANSACTION READ ONLY', 'SET TRANSACTION'],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'SET TRANSACTION'],
    ['SET transaction_read_only = on', 'transaction_read_only'],
    ['SET LOCAL default_transaction_read_only = on', 'default_transaction_read_only'],
    ['SET default_transaction_deferrable = on', 'default_transaction_deferrable'],
    ['SET lock_timeout = 0', 'lock_timeout'],
    ['set local LOCK_TIMEOUT to 0', 'lock_timeout'],
    ['RESET lock_timeout', 'lock_timeout'],
    ['SET statement_timeout TO DEFAULT', 'statement_timeout'],
    ['SET ROLE postgres', 'role'],
    ['RESET ROLE', 'role'],
    ['SET SESSION AUTHORIZATION postgres', 'session_authorization'],
    ['RESET ALL', 'RESET ALL'],
    ['DISCARD ALL', 'DISCARD'],
    ["SELECT set_config('lock_timeout', '0', true)", 'lock_timeout'],
    ["SELECT pg_catalog.set_config('lock_' || 'timeout', '0', true)", 'set_config'],
    ['SELECT set_config(name, setting, true) FROM pg_settings', 'set_config'],
    ['DO $$ BEGIN COMMIT; END $$', 'COMMIT in a DO block'],
    ['DO $$ BEGIN UPDATE t SET a = 1; rollback and chain; END $$', 'ROLLBACK in a DO block'],
    ['DO $$ BEGIN SET LOCAL lock_timeout = 0; END $$', 'lock_timeout'],
    ['SET track_counts = off', 'track_counts'],
    ["DO $$ BEGIN PERFORM set_config('role', 'x', true); END $$", 'role'],
    ['DO $$ BEGIN SET TRANSACTION READ ONLY; END $$', 'TRANSACTION'],
    ['ALTER SYSTEM SET fsync = off', 'ALTER SYSTEM'],
    ['CREATE DATABASE other', 'CREATE DATABASE'],
    ['CREATE INDEX CONCURRENTLY ON t (a)', 'needs a name'],
    ['VACUUM', 'Name the table'],
    ['COPY t TO STDOUT', 'in psql only'],
  ])('refuses %s', async (text, why) => {
    const { type, message } = await refused(`SELECT 'é';\n${text};`);
    expect(type).toBe('MigrationInvalid');
    expect(message).toContain(why);
    expect(message).toContain('one.sql:2: ');
    expect(message).toContain('Nothing was changed');
  });

  it.each([
    ['SET CONSTRAINTS ALL DEFERRED', 'SET CONSTRAINTS'],
    ['LOCK TABLE t', 'LOCK TABLE'],
    ['DECLARE c CURSOR FOR SELECT 1', 'a cursor'],
    ['PREPARE p AS SELECT 1', 'a prepared statement'],
    ['CREATE TEMP TABLE x (a int) ON COMMIT DROP', 'a temporary table'],
    ['CREATE TEMPORARY TABLE x AS SELECT 1', 'a temporary table'],
    ['SELECT * INTO TEMP x FROM t', 'a temporary table'],
    ['SELECT 1 FROM t FOR UPDATE', 'not locked any longer'],
    ["SELECT set_config('search_path', 'x', false)", 'Write SET'],
    ['SELECT pg_advisory_xact_lock(1)', 'pg_advisory_xact_lock'],
    ['DO $$ BEGIN SET LOCAL search_path = x; END $$', 'what a DO block sets'],
    ['DO $$ BEGIN UPDATE t SET a = 1; /* now */ set work_mem TO 1; END $$', 'what a DO block sets'],
    ["DO $$ BEGIN PERFORM set_config('search_path', 'x', true); END $$", 'what a DO block sets'],
    ["DO $$ BEGIN EXECUTE 'SET LOCAL search_path = x'; END $$", 'what a DO block sets'],
    ["DO $$ BEGIN EXECUTE format('set search_path = %I', 'x'); END $$", 'what a DO block sets'],
  ])('refuses %s only in a file that runs in several transactions', async (statement, why) => {
    expect((await parse(`SELECT 1;\n${statement};`)).transactional).toBe(true);
    for (const text of [
      `-- runbooks: split\n${statement};`,
      `VACUUM t;\n${statement};`,
      `CREATE INDEX CONCURRENTLY i ON t (a);\n${statement};`,
    ]) {
      const { type, message } = await refused(text);
      expect([type, message]).toEqual(['MigrationInvalid', expect.stringContaining(why)]);
      expect(message).toContain('one.sql:2: ');
    }
  });

  it.each([
    ["SET LOCAL work_mem = '1MB'", "SET work_mem = '1MB'"],
    ["set /* here */ local work_mem = '1MB'", "set /* here */ work_mem = '1MB'"],
    ["SET work_mem = 'local'", "SET work_mem = 'local'"],
  ])('sets for all of a split file what %s sets for a transaction', async (text, sent) => {
    expect((await parse(`-- runbooks: split\n${text}; SELECT 1`)).statements[0]?.text).toBe(sent);
    expect((await parse(text)).statements[0]?.text).toBe(text);
  });

  it('lets a DO block of a split file change rows, and speak of what it does not set', async () => {
    const text =
      "-- runbooks: split\nDO $$ BEGIN -- then SET LOCAL x\n UPDATE t SET a = 1; RAISE NOTICE 'set up'; END $$; SELECT 1";
    expect((await parse(text)).statements).toHaveLength(2);
  });

  it('ends statements at the breakpoints of Drizzle, and nowhere in a text', async () => {
    const { statements } = await parse(
      "CREATE TABLE é (a text)\n--> statement-breakpoint\nINSERT INTO é VALUES ('--> statement-breakpoint');--> statement-breakpoint\nSELECT 1",
    );
    expect(statements.map(({ line }) => line)).toEqual([1, 3, 4]);
    expect(statements[1]?.text).toContain("('--> statement-breakpoint')");
  });

  it.each([
    'SET search_path = public',
    "SET LOCAL work_mem = '64MB'",
    "SELECT set_config('app.tenant', 'x', true)",
    "DO $$ BEGIN RAISE NOTICE 'done'; END $$",
    "INSERT INTO t VALUES ('COMMIT; SET lock_timeout = 0')",
    'CREATE TABLE commits (role text, begin_at timestamptz)',
    'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$',
    "COPY t FROM '/srv/data.csv'",
  ])('accepts %s', async (text) => {
    expect((await parse(text)).statements).toHaveLength(1);
  });
});
