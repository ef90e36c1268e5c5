import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PROVEN_FILE } from '../../src/activities/postgres/backups/manifest';
import { flipByte } from '../support/damage';
import { until } from '../support/postgres';
import { useDriver } from './harness';
import { useOffsite } from './offsite';

const driver = useDriver();

const databases = () =>
  driver.sql<{ datname: string }>('SELECT datname FROM pg_database ORDER BY 1', 'postgres');
const bookings = async () =>
  Number((await driver.sql<{ count: string }>('SELECT count(*) FROM customers'))[0]?.count);

describe('backups', () => {
  it('missing are a failed check', async () => {
    const { outcome, message } = await driver.run('checkBackups');
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/Backups of booking\/production exist: 0 complete/);
  });

  it('cannot be drilled when there is none, and the message says what to do', async () => {
    const { outcome, message } = await driver.run('drillRestore', { mode: 'auto' });
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/run backUpDatabase/);
  });

  it('are not taken in mode observe', async () => {
    const { outcome } = await driver.run('backUpDatabase', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(driver.backups()).toEqual([]);
  });

  it('are taken with their rows counted, and then the check holds', async () => {
    const { outcome, report } = await driver.run('backUpDatabase', { mode: 'auto' });
    expect(outcome).toBe('SUCCEEDED');
    expect(driver.backups()).toEqual([report.facts['backupId']]);
    const check = await driver.run('checkBackups');
    expect(check.outcome).toBe('SUCCEEDED');
    expect(check.report.facts['newestBackupAgeSeconds']).toBeLessThan(600);
  });
});

describe('drillRestore', () => {
  it('restores, validates, measures, leaves nothing behind, and proves the backup', async () => {
    const before = await databases();
    const { outcome, report } = await driver.run('drillRestore', { mode: 'auto', recoveryPoint: 'random' });
    expect(outcome).toBe('SUCCEEDED');
    for (const fact of ['restoreSeconds', 'validationSeconds', 'estimatedRtoSeconds', 'rpoSeconds']) {
      expect(report.facts[fact]).toEqual(expect.any(Number));
    }
    expect(await databases()).toEqual(before);
    const restored = report.timeline.find(({ title }) => title.startsWith('Restore '));
    expect(restored?.detail).toMatch(/with the rights of runbooks_migrator: the live server was asked$/);
    const check = await driver.run('checkBackups');
    expect(check.report.facts['provenAgeSeconds']).toEqual(expect.any(Number));
  });

  it('fails when its objectives are missed', async () => {
    driver.stack.config.services['booking']!.restore.rpoMinutes = 0.0001;
    const { outcome, message } = await driver.run('drillRestore', { mode: 'auto' });
    driver.stack.config.services['booking']!.restore.rpoMinutes = 1_440;
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/Objectives: RTO .* RPO .* objective/);
  });

  it('names the backups there are when the recovery point is unknown', async () => {
    const { outcome, message } = await driver.run('drillRestore', {
      mode: 'auto',
      recoveryPoint: '2001-01-01T00:00:00Z',
    });
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/no backup for recovery point .*Newest: /);
  });
});

describe('restoreDatabase', () => {
  it('changes nothing in mode observe, and says what would be lost', async () => {
    const before = await databases();
    const { outcome, report } = await driver.run('restoreDatabase', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.warnings.join()).toMatch(/loses at most|no row was written|no writes are known/);
    expect(await databases()).toEqual(before);
  });

  it('brings back what was deleted, keeps the former database, and the application goes on', async () => {
    const before = await bookings();
    await driver.sql('DELETE FROM audit_logs');
    const mark = join(
      driver.stack.directory,
      'backups/booking/production',
      driver.backups()[0]!,
      PROVEN_FILE,
    );
    rmSync(mark);
    const { outcome, report, message } = await driver.agree(
      await driver.start('restoreDatabase', { mode: 'propose' }),
    );
    expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('is restored from')]);
    expect(
      Number((await driver.sql<{ count: string }>('SELECT count(*) FROM audit_logs'))[0]?.count),
    ).toBeGreaterThan(0);
    expect(await bookings()).toBe(before);
    expect((await databases()).map(({ datname }) => datname)).toContain(report.facts['formerDatabase']);
    // A restore that was validated is what proves a backup.
    expect(existsSync(mark)).toBe(true);
    const health = await fetch(`${driver.stack.app.url}/health/ready`);
    expect(health.status).toBe(200);
  });

  it('asks in mode auto when writes would be lost, and stops when told to', async () => {
    // Of the database that is live now, so that its counters say how much it is.
    expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
    await driver.sql(`UPDATE customers SET email = 'x' || email WHERE id = (SELECT min(id) FROM customers)`);
    const before = await databases();
    const handle = await driver.start('restoreDatabase', { mode: 'auto' });
    const question = await driver.waiting(handle, 'decision');
    expect(question.question).toMatch(/loses at most/);
    // More than was said is lost by the time that somebody says yes.
    const changes = async () =>
      Number(
        (
          await driver.sql<{ n: string }>(
            `SELECT n_tup_upd AS n FROM pg_stat_user_tables WHERE relname = 'customers'`,
          )
        )[0]?.n,
      );
    const more = (await changes()) + 100 * (await bookings());
    await driver.sql('UPDATE customers SET email = email; '.repeat(100));
    await until(async () => (await changes()) >= more);
    await driver.answer(handle, 'decide', { question: question.id, choice: 'restore', by: 'ben' });
    const { waiting, timeline } = await driver.until(handle, ({ waiting: open }) =>
      open.some(({ id }) => id !== question.id),
    );
    const again = waiting.find(({ id }) => id !== question.id)!;
    expect(again.question).toMatch(/^Restoring booking\/production .* loses at most [\d,]+ row changes/);
    expect(timeline.map(({ title }) => title)).toContain('That answer is void');
    expect(timeline.map(({ title }) => title)).not.toContain('Stop writes');
    await driver.answer(handle, 'decide', { question: again.id, choice: 'stop', by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await databases()).toEqual(before);
  });
});

describe('a restore for which people are asked while writes are stopped', () => {
  it('is asked about once more, and says how long it took with their time and without', async () => {
    const { restore } = driver.stack.config.services['booking']!;
    const { binDirectory, url } = driver.stack.postgres;
    const psql = (statements: string[], database = 'postgres') => ({
      ...{ directory: '.', environment: {}, timeoutSeconds: 60 },
      run: [
        join(binDirectory, 'psql'),
        ...[url.replace(/\/postgres$/, `/${database}`), ...statements.flatMap((one) => ['-c', one])],
      ],
    });
    // It writes more than was said to be lost, and then stops everybody.
    const writing = Array.from({ length: 100 }, () => 'UPDATE customers SET email = email');
    const readOnly = 'ALTER DATABASE booking_production SET default_transaction_read_only = on';
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'booking_production' AND pid <> pg_backend_pid()`;
    restore.stopWrites = psql([...writing, readOnly, end], 'booking_production');
    restore.resumeWrites = psql(['ALTER DATABASE booking_production RESET default_transaction_read_only']);
    try {
      expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
      const handle = await driver.start('restoreDatabase', { mode: 'propose' });
      const approval = await driver.waiting(handle, 'approval');
      await driver.answer(handle, 'approve', { plan: approval.id, by: 'ben' });
      const question = await driver.waiting(handle, 'decision');
      expect(question.question).toMatch(/^Nobody writes any more, .* more than was said before/);
      const askedAt = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const waitedSeconds = (Date.now() - askedAt) / 1_000;
      await driver.answer(handle, 'decide', { question: question.id, choice: 'restore', by: 'ben' });
      const { outcome, report } = await driver.agree(handle);
      expect(outcome).toBe('SUCCEEDED');
      const [all, without] = ['rtoSeconds', 'rtoWithoutAnswersSeconds'].map((name) =>
        Number(report.facts[name]),
      );
      expect(without).toBeGreaterThan(0);
      expect(all! - without!).toBeGreaterThanOrEqual(waitedSeconds);
    } finally {
      delete restore.stopWrites;
      delete restore.resumeWrites;
    }
  });
});

describe('the safety backup of a restore', () => {
  const safetyBackups = () => driver.backups().filter((id) => id.endsWith('-before'));

  it('is not what the next one restores, and is named as passed over', async () => {
    const safety = safetyBackups().at(-1);
    const { report } = await driver.run('restoreDatabase', { mode: 'observe' });
    expect(report.plan?.actions.map(({ detail }) => detail).join()).not.toContain(safety);
    expect(report.plan?.warnings.join()).toContain(`${safety} is a safety backup`);
  });

  it('stays until a person has released it, whatever the mode, and then goes with the retention', async () => {
    const [safety] = safetyBackups();
    expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
    expect(safetyBackups()).toContain(safety);
    const handle = await driver.start('releaseBackup', { mode: 'auto', backupId: safety });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    expect(safetyBackups()).toContain(safety);
    expect((await driver.run('releaseBackup', { backupId: safety })).outcome).toBe('NOTHING_TO_DO');
    expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
    expect(safetyBackups()).not.toContain(safety);
    const [other] = driver.backups();
    const { outcome, message } = await driver.run('releaseBackup', { backupId: other });
    expect([outcome, message]).toEqual(['FAILED', expect.stringContaining('the retention decides about it')]);
  });
});

describe('checkBackups', () => {
  it('fails for one flipped byte in a backup that is not the newest', async () => {
    const [oldest] = driver.backups().sort();
    const path = join(driver.stack.directory, 'backups/booking/production', oldest!, 'data/toc.dat');
    const restore = flipByte(path, 40);
    const { outcome, message } = await driver.run('checkBackups');
    expect((await driver.run('checkBackups', { verify: 'newest' })).outcome).toBe('SUCCEEDED');
    restore();
    expect(outcome).toBe('FAILED');
    expect(message).toContain(`1 of ${driver.backups().length} are damaged: ${oldest}`);
  });

  it('fails where no backup was restored for longer than the configuration wants', async () => {
    const backups = driver.stack.config.services['booking']!.backups!;
    backups.provenMaxAgeHours = 1e-6;
    const { outcome, message } = await driver.run('checkBackups');
    delete backups.provenMaxAgeHours;
    expect([outcome, message]).toEqual(['FAILED', expect.stringMatching(/proven .* ago, objective/)]);
  });
});

describe('with a place off site', () => {
  const s3 = useOffsite(driver);

  it('a backup is copied there, and checked there', async () => {
    expect((await driver.run('checkBackups')).message).toContain('there is no complete copy');
    const { outcome, report } = await driver.run('backUpDatabase', { mode: 'auto' });
    expect(outcome).toBe('SUCCEEDED');
    const copied = report.timeline.find(({ title }) => title === 'Copy off site');
    expect(copied?.detail).toMatch(/^\d+ files copied to s3:\/\/backups\/booking\/production\//);
    expect((await driver.run('checkBackups', { readOffsite: true })).outcome).toBe('SUCCEEDED');
    // An older one that is whole on the disk says nothing about it.
    const newest = report.facts['backupId'] as string;
    rmSync(join(driver.stack.directory, 'backups/booking/production', newest), { recursive: true });
    const check = await driver.run('checkBackups', { verify: 'newest' });
    expect([check.outcome, check.message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/ is .* old; it lies off site alone, judged by the sizes of its objects$/),
    ]);
    expect(check.report.timeline.map(({ title }) => title)).not.toContain('Read the newest backup');
  });

  it('a drill, and a restore, begin with the copy when the disk of the worker is gone', async () => {
    rmSync(join(driver.stack.directory, 'backups'), { recursive: true });
    const drill = await driver.run('drillRestore', { mode: 'auto' });
    expect(drill.outcome).toBe('SUCCEEDED');
    expect(drill.report.facts['fetchSeconds']).toEqual(expect.any(Number));
    rmSync(join(driver.stack.directory, 'backups'), { recursive: true });
    expect((await driver.agree(await driver.start('restoreDatabase', { mode: 'propose' }))).outcome).toBe(
      'SUCCEEDED',
    );
  });

  it('a storage that does not answer keeps nobody from the disk, and the timeline says so', async () => {
    await s3.process.kill();
    const { outcome, report } = await driver.run('drillRestore', { mode: 'auto', from: 'disk' });
    expect(outcome).toBe('SUCCEEDED');
    const titles = report.timeline.map(({ title }) => title);
    expect(titles).toContain('List the backups on the disk, without those off site');
    const proof = report.timeline.find(({ title }) => title === 'Record the proof');
    expect(proof?.detail).toContain('not beside the copy off site: Could not list s3://backups/');
  });
});
