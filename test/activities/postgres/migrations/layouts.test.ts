import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openMigrations } from '../../../../src/activities/postgres/migrations/script-files';
import type { ActivityDeps } from '../../../../src/activities/support/deps';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dr-layouts-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The migrations of a folder with these files. */
function open(files: string[] | Record<string, string>, layout = 'auto') {
  const texts = Array.isArray(files) ? Object.fromEntries(files.map((file) => [file, 'SELECT 1'])) : files;
  for (const [file, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text);
  }
  const services = { shop: { migrations: { directory, layout } } };
  return openMigrations({ config: { directory, services } } as unknown as ActivityDeps, 'shop');
}

const namesOf = ({ migrations }: ReturnType<typeof open>) => migrations.map(({ name }) => name);
const backOf = ({ migrations }: ReturnType<typeof open>) => migrations.map(({ down }) => down ?? null);
const skippedOf = ({ skipped }: ReturnType<typeof open>) => skipped.map(({ file }) => file);

const journal = (...tags: string[]) =>
  JSON.stringify({
    version: '7',
    entries: tags.map((tag, idx) => ({ idx, when: 1, tag, breakpoints: true })),
  });

describe('a folder of migrations', () => {
  it('of flat files is ordered by name', () => {
    const folder = open(['02_b.sql', '01_a.sql', '01_a.down.sql']);
    expect([namesOf(folder), backOf(folder)]).toEqual([
      ['01_a.sql', '02_b.sql'],
      ['01_a.down.sql', null],
    ]);
    expect(folder.entry('02_b.sql').downPath).toBe('02_b.down.sql');
  });

  it('of Diesel is one of folders', () => {
    const folder = open([
      '2024_b/up.sql',
      '2024_b/down.sql',
      '2023_a/up.sql',
      '2023_a/metadata.toml',
      '.keep',
    ]);
    expect([namesOf(folder), backOf(folder)]).toEqual([
      ['2023_a', '2024_b'],
      [null, '2024_b/down.sql'],
    ]);
    expect(folder.up('2024_b').name).toBe('2024_b/up.sql');
    expect(skippedOf(folder)).toEqual([]);
  });

  it('of golang-migrate is ordered by number', () => {
    const folder = open(['9_b.up.sql', '10_c.up.sql', '10_c.down.sql', '000001_a.up.sql']);
    expect(namesOf(folder)).toEqual(['000001_a.up.sql', '9_b.up.sql', '10_c.up.sql']);
    expect(backOf(folder)).toEqual([null, null, '10_c.down.sql']);
    expect(() => open(['9_b.up.sql', '009_x.up.sql'])).toThrow(/are both version 9/);
  });

  it('of Prisma is one of folders, with a way back where somebody wrote one', () => {
    const folder = open([
      '20240101_init/migration.sql',
      '20240201_more/migration.sql',
      '20240201_more/down.sql',
      'migration_lock.toml',
    ]);
    expect(namesOf(folder)).toEqual(['20240101_init', '20240201_more']);
    expect(backOf(folder)).toEqual([null, '20240201_more/down.sql']);
    expect(skippedOf(folder)).toEqual([]);
  });

  it('of Drizzle has the order of its journal', () => {
    const folder = open({
      '0000_late.sql': 'SELECT 1',
      '0001_early.sql': 'SELECT 1',
      '0001_early.down.sql': 'SELECT 1',
      '0002_draft.sql': 'SELECT 1',
      'meta/_journal.json': journal('0001_early', '0000_late'),
      'meta/0000_snapshot.json': '{}',
    });
    expect([namesOf(folder), backOf(folder)]).toEqual([
      ['0001_early.sql', '0000_late.sql'],
      ['0001_early.down.sql', null],
    ]);
    expect(folder.skipped).toEqual([
      { file: '0002_draft.sql', why: expect.stringContaining('does not list it') as string },
    ]);
  });

  it.each([
    [journal('0000_gone'), /lists 0000_gone, and there is no 0000_gone\.sql/],
    ['{}', /no journal of Drizzle/],
    ['half', /no journal of Drizzle/],
  ])('of Drizzle is refused with the journal %s', (text, why) => {
    expect(() => open({ 'meta/_journal.json': text })).toThrow(why);
  });

  it('of Flyway is ordered by version, and what has none is named', () => {
    const folder = open([
      'V1.10__d.sql',
      'V1.9__c.sql',
      'V1__a.sql',
      'V1_2__b.sql',
      'U1.9__c.sql',
      'R__views.sql',
      'B1__base.sql',
      'afterMigrate.sql',
    ]);
    expect(namesOf(folder)).toEqual(['V1__a.sql', 'V1_2__b.sql', 'V1.9__c.sql', 'V1.10__d.sql']);
    expect(backOf(folder)).toEqual([null, null, 'U1.9__c.sql', null]);
    expect(folder.skipped.map(({ file, why }) => `${file}: ${why}`)).toEqual([
      expect.stringMatching(/^B1__base\.sql: it is a baseline/),
      expect.stringMatching(/^R__views\.sql: it is repeatable/),
      expect.stringMatching(/^afterMigrate\.sql: it is a callback/),
    ]);
    expect(() => folder.up('R__views.sql')).toThrow(/repeatable/);
    expect(() => open(['V1.0__x.sql', 'V1__y.sql'])).toThrow(/are both version 1[,\s]/);
  });

  it('of Supabase is as flat as it says, and a way back would be applied there', () => {
    const files = ['20240102_b.sql', '20240101_a.sql', '20240101_a.down.sql', 'notes.sql'];
    const folder = open(files, 'supabase');
    expect(namesOf(folder)).toEqual(['20240101_a.sql', '20240102_b.sql']);
    expect(skippedOf(folder)).toEqual(['20240101_a.down.sql', 'notes.sql']);
    expect(backOf(open(files))).toEqual(['20240101_a.down.sql', null, null]);
  });

  it('names everything that it leaves out', () => {
    const folder = open([
      '01_a.sql',
      '02 b.sql',
      '03_c.SQL',
      '04_d.sql.bak',
      '05_e.down.sql',
      'sub/06_f.sql',
      '.07_g.sql',
      '08_é.sql',
      '09.ts',
      'README.md',
      '.gitkeep',
    ]);
    expect(namesOf(folder)).toEqual(['01_a.sql']);
    expect(skippedOf(folder)).toEqual([
      '.07_g.sql',
      '02 b.sql',
      '03_c.SQL',
      '04_d.sql.bak',
      '05_e.down.sql',
      '08_é.sql',
      '09.ts',
      'sub/06_f.sql',
    ]);
    expect(() => folder.up('05_e.down.sql')).toThrow(
      /way back, and the migration that it belongs to is not there/,
    );
  });

  it.each([
    [['a/migration.sql', 'b.sql'], 'flat (b.sql) or prisma (a/migration.sql)'],
    [['a/up.sql', 'b/migration.sql'], 'diesel (a/up.sql) or prisma (b/migration.sql)'],
    [['V1__a.sql', '2_b.sql'], 'flat (2_b.sql) or flyway (V1__a.sql)'],
    [['V1__a.sql', 'V1__a.down.sql'], 'flat (V1__a.down.sql) or flyway (V1__a.down.sql)'],
    [['1_a.up.sql', '2_b.sql'], 'flat (2_b.sql) or golang-migrate (1_a.up.sql)'],
  ])('that could be laid out in two ways is refused: %j', (files, which) => {
    expect(() => open(files)).toThrow(`could be ${which}. Say which: \`migrations.layout\``);
    expect(() => open(files, 'flat')).not.toThrow();
  });

  it('suggests a name for a misspelt one', () => {
    const folder = open(['01_notes.sql', '02_more.sql']);
    expect(() => folder.up('01_note.sql')).toThrow(/did you mean "01_notes\.sql"\? The last ones are/);
  });
});
