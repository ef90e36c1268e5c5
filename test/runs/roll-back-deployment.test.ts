import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deployVersion, promoteDeployment } from '../../examples/booking/deployments';
import { setSwitches } from '../../examples/booking/switches';
import { sampleProgram } from '../../examples/booking/files';
import { parseDocument } from 'yaml';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';
import { startSampleApp, type SampleApp } from './sample-app';
import { killDuring, startWorkerProcess } from './worker-process';

quietTemporal();

const alertNamed = (fingerprint: string) => ({
  source: 'prometheus',
  fingerprint,
  startsAt: new Date().toISOString(),
  status: 'firing',
  severity: 'critical',
  title: 'High error rate',
  labels: {},
  annotations: {},
  link: null,
});

describe('a rollback', () => {
  let driver: Driver;
  let app: SampleApp;
  beforeAll(async () => {
    driver = await startDriver();
    app = await startSampleApp(driver);
  });
  beforeEach(() => app.reset());
  afterAll(async () => {
    await app?.stop();
    await driver?.stack.stop();
  });

  const deployBad = async (): Promise<void> => {
    deployVersion(app.directory, '1.5.0');
    await app.untilRate((rate) => rate > 0.5);
  };

  it('puts the version before in front, and customers are served again', async () => {
    await deployBad();
    const { outcome, message, report } = await driver.run('rollBackDeployment');
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      expect.stringContaining('1.4.1 is in front again instead of 1.5.0'),
    ]);
    expect(app.front()).toBe('dep-2');
    expect(await app.rate()).toBe(0);
    expect(report.facts).toMatchObject({
      rolledBackFrom: expect.stringMatching(/^1\.5\.0 \(dep-3 of .* UTC, commit /) as string,
      rolledBackTo: expect.stringMatching(/^1\.4\.1 \(dep-2 /) as string,
      errorRateAfterPercent: 0,
    });
    expect(report.facts['errorRateBeforePercent']).toBeGreaterThan(50);
  });

  it('never goes back to a version that was itself taken away', async () => {
    await deployBad();
    promoteDeployment(app.directory, 'dep-2');
    deployVersion(app.directory, '1.5.0');
    const { report } = await driver.run('rollBackDeployment', { mode: 'observe' });
    expect(report.plan?.actions).toEqual([
      expect.objectContaining({ action: expect.stringMatching(/^put 1\.4\.1 \(dep-2 /) as string }),
    ]);
  });

  it('goes to the deployment that is named', async () => {
    const { outcome } = await driver.run('rollBackDeployment', { deployment: 'dep-1' });
    expect([outcome, app.front()]).toEqual(['SUCCEEDED', 'dep-1']);
  });

  it('changes nothing in mode observe', async () => {
    await deployBad();
    const before = app.state();
    const { outcome, report } = await driver.run('rollBackDeployment', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions).toHaveLength(1);
    expect(app.state()).toEqual(before);
  });

  it.each([
    ['is in front already', { deployment: 'dep-2' }, /dep-2 .* is in front already/],
    [
      'an alert speaks of nothing that can be measured any more',
      { alert: alertNamed('quiet') },
      /the symptom is gone/,
    ],
    ['another than the suspect is in front', { from: 'dep-1' }, /is in front now, and no longer dep-1/],
  ])('has nothing to do where %s', async (_, input, message) => {
    const { outcome, message: said } = await driver.run('rollBackDeployment', input);
    expect([outcome, said]).toEqual(['NOTHING_TO_DO', expect.stringMatching(message)]);
    expect(app.front()).toBe('dep-2');
  });

  it('says so where there is nothing to go back to', async () => {
    promoteDeployment(app.directory, 'dep-1');
    const { outcome, message } = await driver.run('rollBackDeployment');
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(
      /there is nothing to go back to: no good deployment is older than 1\.4\.0 \(dep-1.*NoDeployment/s,
    );
    expect((await driver.run('rollBackDeployment', { deployment: 'dep-9' })).message).toMatch(
      /there is no deployment "dep-9"/,
    );
  });

  it('does not happen when it is denied, and not when nobody answers', async () => {
    await deployBad();
    const handle = await driver.start('rollBackDeployment', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben', note: 'we mend it' });
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringContaining('we mend it') as string,
    });
    app.service.approval.expiresAfterMinutes = 0.02;
    expect(await driver.run('rollBackDeployment', { mode: 'propose' })).toMatchObject({
      outcome: 'REJECTED',
    });
    expect(app.front()).toBe('dep-3');
  });

  it('that was approved for one deployment asks again when another is in front by then', async () => {
    await deployBad();
    const handle = await driver.start('rollBackDeployment', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    deployVersion(app.directory, '1.5.0');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const again = await driver.until(handle, ({ waiting }) => waiting.some((one) => one.id !== id));
    expect(again.timeline.map(({ title }) => title)).toContain(`Approval of plan ${id} is void`);
    await driver.answer(handle, 'reject', { plan: again.waiting[0]!.id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(app.front()).toBe('dep-4');
  });

  it('is not needed any more when the alert is resolved while the plan waits', async () => {
    await deployBad();
    const handle = await driver.start('rollBackDeployment', {
      mode: 'propose',
      alert: alertNamed('resolved'),
    });
    await driver.waiting(handle, 'approval');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await handle.signal('alert', { status: 'resolved', count: 1, at: new Date().toISOString() });
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'NOTHING_TO_DO',
      message: expect.stringContaining('the symptom is gone') as string,
    });
  });

  it('that does not help is taken back', async () => {
    // Broken in every version, so the deployment is not the cause.
    setSwitches(app.directory, { recommendations: true });
    deployVersion(app.directory, '1.4.1');
    await app.untilRate((rate) => rate > 0.5);
    const { outcome, report } = await driver.run('rollBackDeployment');
    expect(outcome).toBe('ROLLED_BACK');
    expect(app.front()).toBe('dep-3');
    const undone = report.timeline.filter(({ movement }) => movement === 'undo').map(({ title }) => title);
    expect(undone).toEqual([
      'Going back',
      'What is in front now?',
      'Did it help?',
      'Put 1.4.1 in front again',
      'dep-3 is in front',
    ]);
  });

  describe('with an error rate of its own making', () => {
    let server: Server;
    beforeAll(async () => {
      // What is left of the errors differs from version to version.
      server = createServer((_, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ errorRate: app.front() === 'dep-3' ? 0.6 : 0.1 }));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));

    it('stays where it helped, though not enough, and calls a person', async () => {
      deployVersion(app.directory, '1.4.1');
      app.application.errorRate!.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const handle = await driver.start('rollBackDeployment');
      const { id, question } = await driver.waiting(handle, 'task');
      expect(question).toMatch(
        /1\.4\.1 stays in front of booking: it helped, but not enough \(before: error rate 60\.00 %/,
      );
      await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'mended' });
      expect((await driver.end(handle)).outcome).toBe('NEEDS_HUMAN');
      expect(app.front()).toBe('dep-2');
    });
  });

  // Last: the worker of this process goes. Of one that is killed before the command has an effect, see high-error-rate.
  it('whose worker is killed after it took effect: the next one sees that, and runs nothing again', async () => {
    const document = parseDocument(readFileSync(driver.stack.configFile, 'utf8'));
    const service = ['services', 'booking'];
    const promote = `${process.execPath} ${sampleProgram('deploy.js')} promote`;
    document.setIn([...service, 'environments', 'production', 'application', 'soakSeconds'], 1);
    document.setIn(
      [...service, 'deployments', 'promote', 'run'],
      ['sh', '-c', `echo x >> begun; ${promote}; sleep 20`],
    );
    writeFileSync(driver.stack.configFile, document.toString());
    await driver.stack.worker.stop();
    let worker = await startWorkerProcess(driver.stack.configFile);
    try {
      deployVersion(app.directory, '1.5.0');
      const handle = await driver.start('rollBackDeployment');
      worker = await killDuring(worker, driver.stack.configFile, () => app.front() === 'dep-2');
      const { outcome, report } = await driver.end(handle);
      expect(outcome).toBe('SUCCEEDED');
      expect(app.front()).toBe('dep-2');
      expect(readFileSync(join(app.directory, 'begun'), 'utf8')).toBe('x\n');
      const promoted = report.timeline.find(({ title }) => title === 'Put 1.4.1 in front');
      expect(promoted?.detail).toBe('dep-2 is in front already');
    } finally {
      await worker.stop();
    }
  });
});
