import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startNpmRegistry, type NpmRegistry } from '../simulators/npm-registry';
import { quietTemporal } from '../support/quiet';
import { until } from '../support/postgres';
import { configure, startDriver, type Driver } from './harness';
import { killDuring, startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const REVIEW = 'reviewDependencies';
let driver: Driver;
let worker: WorkerProcess;
let registry: NpmRegistry;
let opened: string;
beforeAll(async () => {
  [driver, registry] = await Promise.all([startDriver(400, false), startNpmRegistry()]);
  opened = join(driver.stack.directory, 'opened');
  configure(driver, {
    dependencies: { audit: registry.command('audit'), outdated: registry.command('outdated') },
  });
  worker = await startWorkerProcess(driver.stack.configFile);
});
beforeEach(() => {
  registry.reset();
  rmSync(opened, { force: true });
});
afterAll(async () => {
  await worker?.stop();
  await registry?.stop();
  await driver?.stack.stop();
});

const restartedWith = async (settings: Record<string, unknown>) => {
  await worker.kill();
  configure(driver, settings);
  worker = await startWorkerProcess(driver.stack.configFile);
};

it('only plans while it observes: security fixes first, the worst first', async () => {
  const { outcome, report } = await driver.run(REVIEW, { mode: 'observe' });
  expect(outcome).toBe('OBSERVED');
  expect(report.plan?.actions).toEqual([
    expect.objectContaining({
      action: 'a task for a person: security fixes',
      detail: [
        'critical right (direct): Right runs what it is given. Fix: right 2.0.0, a major version',
        'moderate left (direct): Left leaks. Fix: within its range',
      ].join('\n'),
    }),
    expect.objectContaining({ action: 'a task for a person: updates within their ranges' }),
  ]);
  expect(report.plan?.warnings).toEqual([
    'no fix yet for: high stuck',
    '1 package not installed in that folder: whether they are outdated is not known',
  ]);
  expect(report.facts).toMatchObject({ vulnerable: 3 });
});

it('makes a task of it with the exact list, and says what is left afterwards', async () => {
  const handle = await driver.start(REVIEW);
  const { id, question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(
    /^Update the packages of booking: 3 vulnerable packages: 1 critical, 1 high, 1 moderate/,
  );
  expect(question).toContain('- critical right (direct): Right runs what it is given');
  registry.advisories = {};
  await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'merged' });
  expect(await driver.end(handle)).toMatchObject({
    outcome: 'SUCCEEDED',
    message: 'done, as was said; now no known vulnerability',
  });
});

it('fails where the registry gives no answer: that is not "none"', async () => {
  registry.mood = 'html';
  const { outcome, message } = await driver.run(REVIEW);
  expect(outcome).toBe('FAILED');
  expect(message).toMatch(/Nothing is known about the packages/);
});

it('opens one issue, also where the worker is killed while it does', async () => {
  // As a forge does: one with the key of one that is open is that one.
  const script = `echo "$KEY" >> tries; grep -qs "$KEY" opened || echo "$KEY $TITLE" >> opened; [ $(wc -l < tries) -gt 1 ] || sleep 30; echo "issue 1"`;
  await restartedWith({
    'dependencies.open': { command: { run: ['sh', '-c', script], directory: driver.stack.directory } },
  });
  const handle = await driver.start(REVIEW, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  expect(existsSync(opened)).toBe(false);
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  await until(() => existsSync(opened));
  worker = await killDuring(worker, driver.stack.configFile, () => true);
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/opened: issue 1\. They stay vulnerable until that is merged and deployed$/),
  ]);
  const [line, ...more] = readFileSync(opened, 'utf8').trim().split('\n');
  expect([line, more]).toEqual([
    expect.stringMatching(/^[0-9a-f]{12} Update the packages of booking: 3 vulnerable packages/),
    [],
  ]);
});

it('calls nothing vulnerable where there are only updates', async () => {
  registry.advisories = {};
  const { outcome, message } = await driver.run(REVIEW);
  expect([outcome, message]).toEqual(['SUCCEEDED', 'no known vulnerability; opened: issue 1']);
});

it('opens nothing where it is denied, or nobody answers', async () => {
  const handle = await driver.start(REVIEW, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  await restartedWith({ 'approval.expiresAfterMinutes': 0.02 });
  expect((await driver.run(REVIEW, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(existsSync(opened)).toBe(false);
});
