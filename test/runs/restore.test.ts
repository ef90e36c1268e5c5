import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver();
});
afterAll(() => driver?.stack.stop());

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
    const handle = await driver.start('restoreDatabase', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const { outcome, report, message } = await driver.end(handle);
    expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('is restored from')]);
    expect(
      Number((await driver.sql<{ count: string }>('SELECT count(*) FROM audit_logs'))[0]?.count),
    ).toBeGreaterThan(0);
    expect(await bookings()).toBe(before);
    expect((await databases()).map(({ datname }) => datname)).toContain(report.facts['formerDatabase']);
    const health = await fetch(`${driver.stack.app.url}/health/ready`);
    expect(health.status).toBe(200);
  });

  it('asks in mode auto when writes would be lost, and stops when told to', async () => {
    await driver.sql(`UPDATE customers SET email = 'x' || email WHERE id = (SELECT min(id) FROM customers)`);
    const before = await databases();
    const handle = await driver.start('restoreDatabase', { mode: 'auto' });
    const question = await driver.waiting(handle, 'decision');
    expect(question.question).toMatch(/loses at most/);
    await driver.answer(handle, 'decide', { question: question.id, choice: 'stop', by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await databases()).toEqual(before);
  });
});

describe('drillRestore with promote', () => {
  it('restores again onto the durable server and lets it take over', async () => {
    const handle = await driver.start('drillRestore', { mode: 'propose', promote: true });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const { outcome, report, message } = await driver.end(handle);
    expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('took over')]);
    expect(report.facts['rtoSeconds']).toEqual(expect.any(Number));
  });

  it('does not take over when nobody may approve it', async () => {
    const before = await databases();
    const handle = await driver.start('drillRestore', { mode: 'propose', promote: true });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await databases()).toEqual(before);
  });
});
