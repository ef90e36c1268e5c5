import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ActivityDeps } from '../../../../src/activities/support/deps';
import { createLintActivities } from '../../../../src/activities/postgres/migrations/lint-activities';
import { configSchema } from '../../../../src/config/schema';
import { failureOf, runActivity } from '../../../support/postgres';
import type { Hazard, MigrationRef } from '../../../../src/contract/migration';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dr-lint-'));
  mkdirSync(join(directory, 'migrations'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function deps(): ActivityDeps {
  const identity = { systemIdentifier: '1234567890123456789', database: 'shop' };
  const environments = { production: { database: { url: 'postgresql://nobody@localhost/shop', identity } } };
  const config = configSchema.parse({ services: { shop: { environments } } });
  return { config: { ...config, file: join(directory, 'runbooks.yaml'), directory } };
}

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

function write(name: string, text: string): MigrationRef {
  writeFileSync(join(directory, 'migrations', name), text);
  return { name, sha256: sha(text), downSha256: null };
}

const lint = (files: MigrationRef[]): Promise<Hazard[]> =>
  runActivity(createLintActivities(deps()).lintMigrations, { service: 'shop', files });

const inShort = (found: Hazard[]): string[] =>
  found.map(({ level, rule, line }) => `${level} ${rule}:${line}`);

describe('the findings of Squawk', () => {
  it.each([
    ['CREATE INDEX i ON shop (name);', 'error require-concurrent-index-creation:3'],
    ['DROP INDEX i;', 'error require-concurrent-index-deletion:3'],
    ['REINDEX INDEX i;', 'error require-concurrent-reindex:3'],
    ['ALTER TABLE shop DETACH PARTITION shop_1;', 'error require-concurrent-partition-detach:3'],
    ['ALTER TABLE shop ADD CONSTRAINT c CHECK (a > 0);', 'error constraint-missing-not-valid:3'],
    ['ALTER TABLE shop ADD CONSTRAINT c UNIQUE (a);', 'error disallowed-unique-constraint:3'],
    ['ALTER TABLE shop ALTER a SET NOT NULL;', 'error adding-not-nullable-field:3'],
    ['ALTER TABLE shop RENAME a TO b;', 'error renaming-column:3'],
    ['ALTER TABLE shop RENAME TO store;', 'error renaming-table:3'],
    ['CREATE TABLE t (id int);', 'warning prefer-bigint-over-int:3'],
    ['CREATE TABLE t (name varchar(20));', 'warning prefer-text-field:3'],
    ['CREATE TABLE t (at timestamp);', 'warning prefer-timestamp-tz:3'],
    ['ALTER TABLE shop ADD name char(3);', 'warning ban-char-field:3'],
  ])('stop what stops a site, and advise on the rest: %s', async (text, expected) => {
    expect(inShort(await lint([write('01.sql', `-- é 😀\n\n${text}\n`)]))).toContain(expected);
  });

  it('are in the right line of files with the line ends of Windows', async () => {
    const text = '-- first\r\n\r\nALTER TABLE shop RENAME a TO b;\r\n';
    expect(inShort(await lint([write('01.sql', text)]))).toEqual(['error renaming-column:3']);
  });

  it('belong to their file', async () => {
    const files = [
      write('01.sql', 'ALTER TABLE shop RENAME a TO b;'),
      write('02.sql', '\nALTER TABLE shop RENAME TO s;'),
    ];
    expect((await lint(files)).map(({ migration, line }) => [migration, line])).toEqual([
      ['01.sql', 1],
      ['02.sql', 2],
    ]);
    expect(await lint([])).toEqual([]);
  });

  it('are never those of a file that is gone or lies elsewhere', async () => {
    const gone = { name: '01.sql', sha256: '', downSha256: null };
    expect((await failureOf(lint([gone]))).type).toBe('MigrationMissing');
    writeFileSync(join(directory, 'secret.sql'), 'SELECT 1');
    const outside = { name: '../secret.sql', sha256: sha('SELECT 1'), downSha256: null };
    expect((await failureOf(lint([outside]))).type).toBe('InvalidInput');
  });
});

describe('a linter that does not work', () => {
  afterEach(() => {
    jest.dontMock('node:module');
    jest.resetModules();
  });

  it.each([
    ['is missing', null, 'linter is missing'],
    ['prints nothing', '/bin/true', 'could not lint 01.sql'],
    ['cannot be started', '/nonexistent/squawk', 'could not be started'],
  ])('never makes a clean file: it %s', async (_, binary, why) => {
    const getBinaryPath = (): string => {
      if (binary === null) throw new Error('its package was not installed');
      return binary;
    };
    jest.doMock('node:module', () => ({ createRequire: () => () => ({ getBinaryPath }) }));
    jest.resetModules();
    const broken = jest.requireActual<{ createLintActivities: typeof createLintActivities }>(
      '../../../../src/activities/postgres/migrations/lint-activities',
    );
    const files = [write('01.sql', 'SELECT 1;')];
    const { message } = await failureOf(
      broken.createLintActivities(deps()).lintMigrations({ service: 'shop', files }),
    );
    expect(message).toContain(why);
  });
});
