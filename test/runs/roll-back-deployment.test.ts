import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deployVersion, promoteDeployment } from '../../examples/shared/deployments';
import { setSwitches } from '../../examples/booking/switches';
import { sampleProgram } from '../../examples/booking/files';
import { serve } from '../support/local-server';
import { duringTests } from '../support/stand-in';
import { firing, resolved } from './alerts';
import { configure, titles } from './harness';
import { useSampleApp } from './sample-app';
import { runThroughKill } from './worker-process';

const { driver, app } = useSampleApp();
beforeEach(() => app.reset());

describe('a rollback', () => {
  it('puts the version before in front, and customers are served again', async () => {
    await app.deployBad();
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
    await app.deployBad();
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
    await app.deployBad();
    const before = app.state();
    const { outcome, report } = await driver.run('rollBackDeployment', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions).toHaveLength(1);
    expect(app.state()).toEqual(before);
  });

  it.each([
    ['is in front already', { deployment: 'dep-2' }, /dep-2 .* is in front already/],
    ['an alert speaks of nothing that can be measured any more', { alert: firing() }, /the symptom is gone/],
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
    await app.deployBad();
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
    await app.deployBad();
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
    await app.deployBad();
    const handle = await driver.start('rollBackDeployment', {
      mode: 'propose',
      alert: firing(),
    });
    await driver.waiting(handle, 'approval');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await resolved(handle);
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
    // What is left of the errors differs from version to version.
    const server = duringTests(() =>
      serve((_, response) =>
        response.end(JSON.stringify({ errorRate: app.front() === 'dep-3' ? 0.6 : 0.1 })),
      ),
    );

    it('stays where it helped, though not enough, and calls a person', async () => {
      deployVersion(app.directory, '1.4.1');
      app.application.errorRate!.url = server.url;
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
});

describe('a bad deployment that resolveHighErrorRate finds', () => {
  it('is found and rolled back, and customers are served again', async () => {
    await app.deployBad();
    const { outcome, message, report } = await driver.run('resolveHighErrorRate');
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      'error rate 0.00 % again; cause: the deployment of 1.5.0; remedy: roll back 1.5.0 to 1.4.1',
    ]);
    expect(app.front()).toBe('dep-2');
    expect(await app.rate()).toBe(0);
    expect(report.facts).toMatchObject({
      cause: 'the deployment of 1.5.0',
      evidence: expect.stringMatching(
        /^1\.5\.0 \(dep-3 .* was deployed .* before the errors were seen/,
      ) as string,
      remedy: expect.stringContaining('roll back 1.5.0 to 1.4.1') as string,
      errorRateAfterPercent: 0,
    });
    expect(report.facts['errorRateBand']).toBe('critical');
    expect(titles(report)).toContain('Post-mortem draft');
  });

  it('is only reported in mode observe', async () => {
    await app.deployBad();
    const before = app.state();
    const { outcome, report } = await driver.run('resolveHighErrorRate', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions[0]?.action).toBe('roll back 1.5.0 to 1.4.1');
    expect(app.state()).toEqual(before);
  });

  it('stays when a person denies its rollback, who is asked once and in the rollback itself', async () => {
    await app.deployBad();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose', alert: firing() });
    const child = await driver.childOf(handle, 'rollBackDeployment');
    const { id } = await driver.waiting(child, 'approval');
    expect((await driver.until(handle, () => true)).waiting).toEqual([]);
    await driver.answer(child, 'reject', { plan: id, by: 'ben', note: 'we mend it' });
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringContaining('we mend it') as string,
    });
    expect(app.front()).toBe('dep-3');
  });

  it('needs no rollback when the alert is resolved while that one waits for its approval', async () => {
    await app.deployBad();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose', alert: firing() });
    const child = await driver.childOf(handle, 'rollBackDeployment');
    await driver.waiting(child, 'approval');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    // The sender knows only the run that its alert started.
    await resolved(handle);
    expect((await driver.end(child)).outcome).toBe('NOTHING_TO_DO');
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'NOTHING_TO_DO',
      message: expect.stringContaining('it went away by itself') as string,
    });
  });

  it('that came after the errors began is not suspected', async () => {
    await app.deployBadLongAgo();
    deployVersion(app.directory, '1.5.0');
    const alert = firing({ startsAt: new Date(Date.now() - 3_600_000).toISOString() });
    const { report } = await driver.run('resolveHighErrorRate', { mode: 'observe', alert });
    expect(report.plan?.actions[0]?.action).toBe('ask what to do');
  });
});

// Last: the worker of this process goes. Of one that is killed before the command has an effect, see high-error-rate.
it('a rollback whose worker is killed after it took effect: the next one sees that, and runs nothing again', async () => {
  const promote = `${process.execPath} ${sampleProgram('deploy.js')} promote`;
  configure(driver, {
    'environments.production.application.soakSeconds': 1,
    'deployments.promote.run': ['sh', '-c', `echo x >> begun; ${promote}; sleep 20`],
  });
  await driver.stack.worker.stop();
  deployVersion(app.directory, '1.5.0');
  const isAtIt = () => app.front() === 'dep-2';
  const { outcome, report } = await runThroughKill(driver, 'rollBackDeployment', isAtIt);
  expect(outcome).toBe('SUCCEEDED');
  expect(app.front()).toBe('dep-2');
  expect(readFileSync(join(app.directory, 'begun'), 'utf8')).toBe('x\n');
  const promoted = report.timeline.find(({ title }) => title === 'Put 1.4.1 in front');
  expect(promoted?.detail).toBe('dep-2 is in front already');
});
