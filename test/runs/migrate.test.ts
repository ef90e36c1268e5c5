import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { planText } from '../../src/cli/run-text';
import { observeSchema } from '../../src/config/measure-schema';
import { serve } from '../support/local-server';
import { writeAsApplication } from './as-application';
import { details } from './harness';
import { useMigrations } from './migrate-world';

const { driver, columns, write, snapshot, addBlank } = useMigrations();

const NOTES = '2026_11_01_add_booking_notes.sql';
const MERGE = '2026_11_03_merge_slot_capacity.sql';
const UNSAFE = '2026_11_04_unsafe_type_change.sql';
const BREAKS_INVARIANT = '2026_11_05_settle_stale_payments.sql';

describe('migrateDatabase', () => {
  it('changes nothing in mode observe and shows its plan', async () => {
    const before = await snapshot();
    const files = Array.from({ length: 18 }, (_, index) => `2027_01_${10 + index}_wide.sql`);
    const style =
      'CREATE TABLE wide_%n (id int PRIMARY KEY, code varchar(20), made timestamp, kind char(3));\n';
    files.forEach((name, index) => write(name, style.replace('%n', String(index))));
    write('2027_01_10_wide.sql', 'ALTER TABLE customers DROP COLUMN phone;\n');
    const input = { files: [NOTES, ...files], accept: ['2027_01_10_wide.sql:data-loss'], mode: 'observe' };
    const { outcome, report } = await driver.run('migrateDatabase', input);
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions.map(({ action }) => action)).toContain(`apply ${NOTES}`);
    expect(report.plan?.warnings[0]).toMatch(/^accepted: data-loss: 2027_01_10_wide\.sql:1: DROP COLUMN/);
    expect(report.plan?.warnings.join('\n')).toMatch(
      /^left out although they come earlier .*_index_deliveries/m,
    );
    expect(report.plan?.warnings.filter((one) => one.startsWith('style, '))).toEqual([
      expect.stringMatching(/^style, \d\d findings of Squawk: .*prefer-text-field 17/),
    ]);
    expect(planText(report.plan!).split('\n').length).toBeLessThan(40);
    expect(await snapshot()).toBe(before);
    for (const name of files) rmSync(join(driver.stack.directory, 'migrations', name));
  });

  it('stops when staging differs from production, and says in what', async () => {
    await driver.sql('ALTER TABLE customers ADD COLUMN forgotten text', 'staging');
    try {
      const { outcome, message } = await driver.run('migrateDatabase', { files: [NOTES], mode: 'auto' });
      expect(outcome).toBe('FAILED');
      expect(message).toMatch(
        /column public\.customers\.forgotten exists only there.*\n.*--accept schema-drift\n[^]*\(SchemaDrift\)$/,
      );
      expect(driver.backups()).toEqual([]);
    } finally {
      await driver.sql('ALTER TABLE customers DROP COLUMN forgotten', 'staging');
    }
  });

  it('stops an unsafe migration before anything is changed', async () => {
    const before = await snapshot();
    const { outcome, message } = await driver.run('migrateDatabase', { files: [UNSAFE], mode: 'auto' });
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(
      /^FAILED: unsafe: \d findings? of \d rules?\.\n( {2}\S+: 2026_11_04_unsafe_type_change\.sql:\d+.*\n)+Mend/,
    );
    const [, accept = ''] =
      /^ {2}runbooks start migrateDatabase --service booking --mode auto --files \S+ --accept (.*)$/m.exec(
        message,
      ) ?? [];
    expect(message).toContain(JSON.stringify({ accept: accept.split(' ') }));
    expect(await snapshot()).toBe(before);
    const observed = { files: [UNSAFE], mode: 'observe', accept: accept.split(' ') };
    expect(await driver.run('migrateDatabase', observed)).toMatchObject({ outcome: 'OBSERVED' });
  });

  it('leaves staging as it was when the approval is refused', async () => {
    const before = await columns('staging');
    const handle = await driver.start('migrateDatabase', { files: [NOTES], mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    expect(await columns('staging')).not.toEqual(before);
    // Staging goes back with what was rehearsed.
    const down = join(driver.stack.directory, 'migrations', NOTES.replace('.sql', '.down.sql'));
    const text = readFileSync(down);
    writeFileSync(down, 'DROP TABLE bookings CASCADE;\n');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben', note: 'not today' });
    const { outcome, message, report } = await driver.end(handle);
    expect(outcome).toBe('REJECTED');
    expect(message).toMatch(/ben rejected plan .*not today/);
    expect(report.timeline).toContainEqual(
      expect.objectContaining({ title: 'Schema of booking/staging after going back', status: 'done' }),
    );
    expect(await columns('staging')).toEqual(before);
    writeFileSync(down, text);
  });

  it('stops when the file was changed after the rehearsal', async () => {
    const name = '2026_12_01_edited.sql';
    write(name, 'ALTER TABLE customers ADD COLUMN edited text;\n');
    write('2026_12_01_edited.down.sql', 'ALTER TABLE customers DROP COLUMN edited;\n');
    const application = await writeAsApplication(driver, 'orders');
    const handle = await driver.start('migrateDatabase', {
      files: [name],
      mode: 'propose',
      accept: ['schema-drift'],
    });
    const { id } = await driver.waiting(handle, 'approval');
    appendFileSync(
      join(driver.stack.directory, 'migrations', name),
      'ALTER TABLE customers ADD COLUMN smuggled text;\n',
    );
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const { outcome, message } = await driver.end(handle);
    expect(outcome).toBe('ROLLED_BACK');
    expect(message).toMatch(/changed since they were rehearsed/);
    expect(JSON.stringify(await columns('production'))).not.toContain('edited');
    expect(JSON.stringify(await columns('staging'))).not.toContain('edited');
    await application.expectAsBefore();
  });

  it('goes through backup, clone, staging, approval, production and verification', async () => {
    const handle = await driver.start('migrateDatabase', { files: [NOTES], mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect(outcome).toBe('SUCCEEDED');
    expect(report.approvals).toMatchObject([{ plan: id, by: 'ben' }]);
    expect(JSON.stringify(await columns('production'))).toContain('bookings.notes');
    expect(JSON.stringify(await columns('staging'))).toContain('bookings.notes');
    expect(driver.backups().length).toBeGreaterThan(0);
    expect(report.timeline).toContainEqual(
      expect.objectContaining({ title: 'Apply the retention of booking/production', status: 'done' }),
    );
    expect(JSON.stringify(report.plan)).toMatch(
      /on the clone it took ACCESS EXCLUSIVE on public\.bookings for [\d.]+ m?s \(as predicted\)/,
    );
    expect(details(report, 'New errors in the log of booking/production')).toEqual([
      expect.stringMatching(/^\d+ errors? since .* UTC, none of a new kind$/),
    ]);
    expect(report.summary).toMatch(/is proven$/);
    // What the configuration permits its two statements, and those of an attempt before, comes on top of two hours.
    const { events } = await handle.fetchHistory();
    const scheduled = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: one }) =>
      one?.activityType?.name === 'applyMigration' ? [Number(one.startToCloseTimeout?.seconds)] : [],
    );
    expect(new Set(scheduled)).toEqual(new Set([7_200 + 2 * 2 * (900 + 60)]));
  });

  it('stands by a good migration although the application was out during the rehearsal', async () => {
    const name = '2026_12_03_after_an_outage.sql';
    write(name, 'ALTER TABLE customers ADD COLUMN after_an_outage text;\n');
    write('2026_12_03_after_an_outage.down.sql', 'ALTER TABLE customers DROP COLUMN after_an_outage;\n');
    const production = driver.stack.config.services['booking']!.environments['production']!;
    const usual = structuredClone(production);
    const { application, observe } = production;
    // As a window of four seconds does that has an outage in its first second.
    let badUntil = 0;
    const server = await serve((_, response) => {
      badUntil ||= Date.now() + 3_000;
      response.end(JSON.stringify({ errorRate: Date.now() < badUntil ? 0.6 : 0 }));
    });
    Object.assign(application!.errorRate!, { url: server.url, windowSeconds: 4 });
    Object.assign(application!, { soakSeconds: 0.5, soakEverySeconds: 0.2 });
    const knownThenNew =
      'echo "ERROR late by 7"; test ! -e read-before || echo "ERROR column of 17 is missing"; touch read-before';
    observe!.logs!.command!.run = ['sh', '-c', knownThenNew];
    try {
      const { outcome, report } = await driver.run('migrateDatabase', { files: [name], mode: 'auto' });
      expect(outcome).toBe('SUCCEEDED');
      // What is new warns, and takes nothing back.
      const news = '1 kind of errors in its log that were not there before: 1 x ERROR column of # is missing';
      expect(report.summary).toContain(news);
      expect(driver.stack.inbox.received().some(({ text }) => text.includes(news))).toBe(true);
      expect(
        details(report, 'The log of booking/production has errors that were not there before'),
      ).toHaveLength(1);
      const lines = report.timeline.filter(({ title }) =>
        title.startsWith('Error rate of booking/production'),
      );
      expect(lines.map(({ title, detail }) => `${title}: ${detail}`)).toEqual([
        expect.stringMatching(/ before: error rate 60\.00 %/),
        expect.stringMatching(/production: \d+ checks, last: error rate 0\.00 %/),
      ]);
    } finally {
      Object.assign(production, usual);
      await server.stop();
    }
  });

  it('has nothing to do the second time', async () => {
    const { outcome } = await driver.run('migrateDatabase', { files: [NOTES], mode: 'auto' });
    expect(outcome).toBe('NOTHING_TO_DO');
  });

  it('stops when a file of that name was applied with other content', async () => {
    const file = join(driver.stack.directory, 'migrations', NOTES);
    appendFileSync(file, '\n-- edited afterwards\n');
    const { outcome, message } = await driver.run('migrateDatabase', { files: [NOTES], mode: 'auto' });
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/MigrationConflict/);
  });

  it('stops on the clone when an invariant breaks there, and never reaches staging or production', async () => {
    const before = [await columns('production'), await columns('staging')];
    const { outcome, message, report } = await driver.run('migrateDatabase', {
      files: [BREAKS_INVARIANT],
      mode: 'auto',
    });
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/Invariants on the clone/);
    expect(report.timeline.map(({ title }) => title)).not.toContain(
      `Apply ${BREAKS_INVARIANT} on booking/production`,
    );
    expect([await columns('production'), await columns('staging')]).toEqual(before);
  });

  it('rolls back by the down script when the application turns ill', async () => {
    const view = () =>
      driver.sql(
        `SELECT pg_get_viewdef('slot_availability') AS def, reloptions FROM pg_class WHERE relname = 'slot_availability'`,
      );
    const before = await view();
    const application = await writeAsApplication(driver, 'orders');
    const { outcome, message, report } = await driver.run('migrateDatabase', {
      files: [MERGE],
      mode: 'auto',
    });
    expect(outcome).toBe('ROLLED_BACK');
    expect(message).toMatch(/Health of booking\/production/);
    expect(await view()).toEqual(before);
    await application.expectAsBefore();
    expect(report.timeline).toContainEqual(
      expect.objectContaining({ title: 'Schema of booking/production after going back', status: 'done' }),
    );
  });

  it('calls a person when the down script fails, keeps the backup, and ends as NEEDS_HUMAN', async () => {
    const name = '2026_12_02_no_way_back.sql';
    write(
      name,
      `CREATE OR REPLACE VIEW slot_availability WITH (security_invoker = true) AS SELECT * FROM (SELECT slots.id AS slot_id, slots.resource_id, resources.listing_id, slots.starts_at, slots.ends_at, slots.capacity, listings.title, listings.price_cents, listings.currency FROM slots JOIN resources ON resources.id = slots.resource_id JOIN listings ON listings.id = resources.listing_id WHERE slots.status = 'open' AND slots.starts_at > now() AND listings.status = 'published') AS open_slots;\n`,
    );
    // Leads back on the clone, and fails where the marker table exists: only in production, from now on.
    write(
      '2026_12_02_no_way_back.down.sql',
      `DO $$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE relname = 'marker_of_test') THEN RAISE EXCEPTION 'no way back'; END IF; END $$;\n` +
        `CREATE OR REPLACE VIEW slot_availability AS SELECT slots.id AS slot_id, slots.resource_id, resources.listing_id, slots.starts_at, slots.ends_at, slots.capacity, listings.title, listings.price_cents, listings.currency FROM slots JOIN resources ON resources.id = slots.resource_id JOIN listings ON listings.id = resources.listing_id WHERE slots.status = 'open' AND slots.starts_at > now() AND listings.status = 'published';\n` +
        'ALTER VIEW slot_availability RESET (security_invoker);\n',
    );
    const handle = await driver.start('migrateDatabase', { files: [name], mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.sql('CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE TABLE elsewhere.marker_of_test ()');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const task = await driver.waiting(handle, 'task');
    expect(task.question).toMatch(/no way back/);
    const backups = driver.backups().length;
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'took the view back by hand' });
    const { outcome } = await driver.end(handle);
    expect(outcome).toBe('NEEDS_HUMAN');
    expect(driver.backups()).toHaveLength(backups);
  });

  it('applies the first migration of an empty database, in the layout of another tool', async () => {
    const { directory } = driver.stack;
    const production = await addBlank();
    const [folder, second, third] = ['20270101_init', '20270102_more', '20270103_rows'].map((name) =>
      join(directory, 'blank', name),
    );
    mkdirSync(folder!, { recursive: true });
    writeFileSync(join(folder!, 'migration.sql'), 'CREATE TABLE first (id bigint PRIMARY KEY);\n');
    const input = { service: 'blank', staging: 'none', mode: 'auto' };
    const { outcome, message, report } = await driver.run('migrateDatabase', input);
    expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('20270101_init applied')]);
    expect(report.plan?.warnings).toContain(
      'the database has no table yet: the backup before it has none either',
    );
    expect(report.plan?.warnings).toContainEqual(expect.stringMatching(/broke by: .*errors in the log$/));
    expect(details(report, 'Errors in the log of blank/production before')).toEqual([
      'not looked at: observe.logs is not configured',
    ]);

    // The table has no row yet.
    mkdirSync(second!);
    writeFileSync(join(second!, 'migration.sql'), 'ALTER TABLE first ALTER id TYPE numeric;\n');
    const unread = { command: { run: ['sh', '-c', 'exit 3'] } };
    production.observe = observeSchema.parse({ logs: unread });
    expect(await driver.run('migrateDatabase', input)).toMatchObject({
      outcome: 'SUCCEEDED',
      message: expect.stringMatching(
        /is proven; its log could not be read, so nobody has compared/,
      ) as string,
    });
    delete production.observe;
    mkdirSync(third!);
    writeFileSync(
      join(third!, 'migration.sql'),
      'INSERT INTO first VALUES (1);\nALTER TABLE first ALTER id TYPE bigint;\n',
    );
    const refused = await driver.run('migrateDatabase', input);
    expect(refused.message).toMatch(/table-rewrite/);
    const accept = ['20270103_rows/migration.sql:table-rewrite'];
    expect(await driver.run('migrateDatabase', { ...input, accept })).toMatchObject({ outcome: 'SUCCEEDED' });
    expect(await driver.run('migrateDatabase', input)).toMatchObject({ outcome: 'NOTHING_TO_DO' });
  });
});
