import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ageKeys, changeKeys, readKeys } from '../../examples/booking/keys';
import { sampleProgram } from '../../examples/booking/files';
import { startVault, type Vault } from '../simulators/vault';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { configure, startDriver, type Driver } from './harness';
import { answerTo, callsOf, expectNoValues, sessionOf, sh } from './secrets-world';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const ROTATE = 'rotateSecrets';
const KEY = 'environments.production.secrets.session-signing';
const DOOR = 'environments.production.secrets.door';
let driver: Driver;
let worker: WorkerProcess | undefined;
let vault: Vault;
beforeAll(async () => {
  driver = await startDriver(400, false);
  vault = await startVault(driver.stack.directory);
  await start();
});
afterAll(async () => {
  await Promise.all([worker?.stop(), vault?.stop()]);
  await driver?.stack.stop();
});

const USUAL = {
  [`${KEY}.graceMinutes`]: 0.02,
  [`${KEY}.settleSeconds`]: 1,
  [`${KEY}.generate.bytes`]: 32,
};
/** A worker with these settings beside the usual ones. */
async function start(settings: Record<string, unknown> = {}): Promise<void> {
  await worker?.stop();
  configure(driver, { ...USUAL, ...settings });
  worker = await startWorkerProcess(driver.stack.configFile);
}

const folder = () => driver.stack.directory;
const keys = () => readKeys(folder());
const active = () => keys().find(({ state }) => state === 'active')!;
const stateOf = (version: string) => keys().find((one) => one.version === version)!.state;
const program = (verb: string) => `${process.execPath} ${sampleProgram('keys.js')} ${verb}`;
const statusOf = (token: string) => answerTo(driver, token);
const signIn = () => sessionOf(driver);
/** A secret whose age nobody knows. */
const unlisted = () => ({ ...vault.settings, versions: sh('echo not-a-list') });

it('has nothing to do where no secret is due', async () => {
  const { outcome, message } = await driver.run(ROTATE);
  expect([outcome, message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(/^no secret is due: session-signing: .* old, 80 days at most$/),
  ]);
});

it('changes nothing while it only observes, or is refused', async () => {
  ageKeys(folder(), 100);
  const before = keys();
  const { outcome, report } = await driver.run(ROTATE, { mode: 'observe' });
  expect(outcome).toBe('OBSERVED');
  expect(report.timeline.map(({ detail }) => detail)).toContain(
    'session-signing: 100 days old, 80 days at most',
  );
  expect(report.plan?.actions).toEqual([
    expect.objectContaining({
      action: 'rotate',
      target: 'booking/production/session-signing',
      detail: expect.stringMatching(/^v1 of .* is in use; retire v1 2.2 s later$/),
    }),
  ]);
  const handle = await driver.start(ROTATE, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(keys()).toEqual(before);
});

it('replaces a key while sessions go on, and refuses the former one only after its time', async () => {
  await start({ [`${KEY}.graceMinutes`]: 0.4 });
  const session = await signIn();
  const handle = await driver.start(ROTATE);
  const waits = await driver.until(handle, ({ summary }) => summary?.includes('former versions') === true);
  expect(waits.summary).toMatch(
    /^What was issued with former versions of session-signing ends: until \d{4}-/,
  );
  expect(await Promise.all([statusOf(session), statusOf(await signIn())])).toEqual([200, 200]);
  // Whoever waits that long must outlive its worker.
  await worker!.kill();
  worker = await startWorkerProcess(driver.stack.configFile);
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.facts['version of session-signing']]).toEqual(['SUCCEEDED', active().version]);
  expect(keys().map(({ state }) => state)).toEqual(['retired', 'active']);
  expect([await statusOf(session), await statusOf(await signIn())]).toEqual([401, 200]);
  await expectNoValues(
    handle,
    'session-signing',
    keys().map(({ key }) => key),
  );
});

it('makes one key when the worker is killed after it was added', async () => {
  ageKeys(folder(), 100);
  const flag = join(folder(), 'slow');
  writeFileSync(flag, '');
  await start({ [`${KEY}.add`]: sh(`${program('add')}; while test -e ${flag}; do sleep 0.1; done`) });
  const former = active().version;
  const count = keys().length;
  const handle = await driver.start(ROTATE);
  await until(async () => keys().length > count);
  await worker!.kill();
  const added = keys().at(-1)!;
  rmSync(flag);
  worker = await startWorkerProcess(driver.stack.configFile);
  const { outcome, report } = await driver.end(handle);
  expect(outcome).toBe('SUCCEEDED');
  expect(report.timeline.map(({ detail }) => detail)).toContain(
    `${added.version} is there already, and is used`,
  );
  expect([keys().length, active(), stateOf(former)]).toEqual([
    count + 1,
    { ...added, state: 'active' },
    'retired',
  ]);
});

it('uses the key that it had added when the worker is killed before it is used', async () => {
  ageKeys(folder(), 100);
  const flag = join(folder(), 'slow');
  writeFileSync(flag, '');
  await start({
    [`${KEY}.add`]: sh(program('add')),
    [`${KEY}.activate.command`]: sh(`while test -e ${flag}; do sleep 0.1; done; ${program('activate')}`),
  });
  const count = keys().length;
  const handle = await driver.start(ROTATE);
  await driver.until(handle, ({ timeline }) =>
    timeline.some(({ title, status }) => /^Use /.test(title) && status === 'running'),
  );
  await worker!.kill();
  rmSync(flag);
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect([keys().length, active().version]).toEqual([count + 1, keys().at(-1)!.version]);
});

it('has the former key again where the application refuses the new one, and a second attempt succeeds', async () => {
  ageKeys(folder(), 100);
  const former = active();
  const session = await signIn();
  // The application signs with no key that is as short as that.
  await start({ [`${KEY}.generate.bytes`]: 16, [`${KEY}.activate.command`]: sh(program('activate')) });
  const { outcome, message, report } = await driver.run(ROTATE);
  const refused = keys().at(-1)!;
  expect([outcome, active(), refused.state]).toEqual(['ROLLED_BACK', former, 'retired']);
  expect(message).toContain(
    `session-signing: ${refused.version} is accepted: refused, and should be accepted`,
  );
  expect(JSON.stringify(report)).not.toContain(refused.key);
  expect(callsOf(driver)).not.toEqual([]);
  expect(await statusOf(session)).toBe(200);
  await start();
  expect((await driver.run(ROTATE)).outcome).toBe('SUCCEEDED');
  expect(await statusOf(session)).toBe(401);
});

it('has the former key again where the service does not bear the new one', async () => {
  const former = active();
  await start({
    'environments.production.smoke': sh(
      `! grep -q '"state": "accepted"' ${join(folder(), 'secrets/session-signing.json')}`,
    ),
  });
  const { outcome, report } = await driver.run(ROTATE, { secrets: ['session-signing'] });
  expect([outcome, active()]).toEqual(['ROLLED_BACK', former]);
  expect(report.timeline.map(({ title }) => title)).toContain(
    `session-signing: ${former.version} is accepted again`,
  );
});

it.each([
  ['everything is accepted', 'echo accepted', 'refuses what nobody made'],
  ['everything is refused', 'echo refused', 'in use is accepted'],
  ['it says nothing', 'true', 'refuses what nobody made'],
])('changes nothing with a probe to which %s', async (_, script, said) => {
  const before = keys();
  await start({ [`${KEY}.probe.command`]: sh(script), 'environments.production.smoke': sh('true') });
  const { outcome, message } = await driver.run(ROTATE, { secrets: ['session-signing'] });
  expect([outcome, message]).toEqual(['FAILED', expect.stringContaining(said)]);
  expect(keys()).toEqual(before);
});

it('says that a former key is still accepted where retiring does nothing, and the next run retires it', async () => {
  const former = active().version;
  const probe = { ...sh(program('probe')), environment: { BOOKING_APP_URL: '${env:BOOKING_APP_URL}' } };
  await start({ [`${KEY}.probe.command`]: probe, [`${KEY}.retire.command`]: sh('true') });
  const { outcome, message } = await driver.run(ROTATE, { secrets: ['session-signing'], graceMinutes: 0 });
  expect([outcome, stateOf(former)]).toEqual(['PARTIAL', 'accepted']);
  expect(message).toContain(`retiring ${former} failed`);
  expect(active().version).not.toBe(former);
  await start({ [`${KEY}.retire.command`]: sh(program('retire')) });
  expect((await driver.run(ROTATE)).outcome).toBe('NOTHING_TO_DO');
  ageKeys(folder(), 2);
  const inUse = active().version;
  const ended = await driver.run(ROTATE);
  expect([ended.outcome, ended.report.plan?.actions[0]?.action]).toEqual([
    'SUCCEEDED',
    'retire former versions',
  ]);
  expect([active().version, stateOf(former)]).toEqual([inUse, 'retired']);
});

it('retires nothing where somebody else has changed the key meanwhile', async () => {
  await start({ [`${KEY}.graceMinutes`]: 0.2 });
  const former = active().version;
  const handle = await driver.start(ROTATE, { secrets: ['session-signing'] });
  await driver.until(handle, ({ summary }) => summary?.includes('former versions') === true);
  changeKeys(folder(), 'activate', former);
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining('somebody else has changed it')]);
  expect([active().version, stateOf(former)]).toEqual([former, 'active']);
  for (const { version, state } of keys()) if (state === 'accepted') changeKeys(folder(), 'retire', version);
});

it('says that a former key is accepted although its store calls it retired', async () => {
  const former = active().version;
  await start({ [`${KEY}.versions`]: sh(`${program('versions')} | sed s/accepted/retired/g`) });
  const { outcome, message } = await driver.run(ROTATE, { secrets: ['session-signing'] });
  const said = expect.stringContaining(`${former} is refused: accepted, and should be refused`) as string;
  expect([outcome, message]).toEqual(['PARTIAL', said]);
  changeKeys(folder(), 'retire', former);
  configure(driver, { [`${KEY}.versions`]: sh(program('versions')) });
});

it('rotates nothing where nobody approves in time, and says of which secrets nobody knows', async () => {
  const before = keys();
  await start({ 'approval.expiresAfterMinutes': 0.02, [DOOR]: unlisted() });
  const { outcome, report } = await driver.run(ROTATE, {
    mode: 'propose',
    secrets: ['session-signing', 'door'],
  });
  expect(outcome).toBe('REJECTED');
  expect(report.plan?.warnings).toEqual(
    expect.arrayContaining([expect.stringMatching(/^door is left alone, and may be due: /)]),
  );
  expect(keys()).toEqual(before);
  const unknown = await driver.run(ROTATE);
  expect([unknown.outcome, unknown.message]).toEqual(['FAILED', expect.stringContaining('nobody knows')]);
});

it('calls people before it waits, and once', async () => {
  await start({ [`${KEY}.graceMinutes`]: 0.1, [DOOR]: unlisted() });
  const before = callsOf(driver).length;
  const handle = await driver.start(ROTATE, { secrets: ['session-signing', 'door'] });
  await driver.until(handle, ({ summary }) => summary?.includes('former') === true);
  expect(callsOf(driver)).toHaveLength(before + 1);
  const { outcome } = await driver.end(handle);
  expect([outcome, callsOf(driver).length]).toEqual(['PARTIAL', before + 1]);
});
