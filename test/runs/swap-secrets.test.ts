/** A secret of which one version is accepted at a time: another application, by configuration alone. */
import { readKeys } from '../../examples/booking/keys';
import { startVault, type Vault } from '../simulators/vault';
import { quietTemporal } from '../support/quiet';
import { configure, startDriver, type Driver } from './harness';
import { expectNoValues } from './secrets-world';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const ROTATE = 'rotateSecrets';
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

async function start(settings: Record<string, unknown> = {}): Promise<void> {
  await worker?.stop();
  const secrets = 'environments.production.secrets';
  const quick = {
    [`${secrets}.session-signing.graceMinutes`]: 0.02,
    [`${secrets}.session-signing.settleSeconds`]: 1,
  };
  configure(driver, { ...quick, [`${secrets}.door`]: vault.settings, ...settings });
  worker = await startWorkerProcess(driver.stack.configFile);
}
const keys = () => readKeys(driver.stack.directory);
const swap = async (choice: string) => {
  const handle = await driver.start(ROTATE, { secrets: ['door'] });
  const { id } = await driver.waiting(handle, 'decision');
  await driver.answer(handle, 'decide', { question: id, choice, by: 'ben' });
  return driver.end(handle);
};
it('stays where a person says so, and everybody was told', async () => {
  expect(await swap('not now')).toMatchObject({
    outcome: 'REJECTED',
    message: 'REJECTED: door not swapped, as decided',
  });
  expect(vault.versions()).toHaveLength(1);
  expect(
    driver.stack.inbox
      .received()
      .some(({ text }) => text.includes('door of booking/production is about to be swapped')),
  ).toBe(true);
});

it('is the former one again where the application goes on with that', async () => {
  vault.pin('first');
  const { outcome, message } = await swap('swap it now');
  vault.pin(undefined);
  expect([outcome, message]).toEqual(['ROLLED_BACK', expect.stringContaining('is accepted: refused')]);
  expect(vault.versions().find(({ state }) => state === 'active')!.version).toBe('first');
});

it('is swapped, and the former one is refused', async () => {
  const { outcome, handle } = await swap('swap it now');
  const { version } = vault.versions().find(({ state }) => state === 'active')!;
  expect([outcome, version === 'first']).toEqual(['SUCCEEDED', false]);
  const open = async (key: string) => (await fetch(vault.url, { headers: { 'x-key': key } })).status;
  expect([await open(vault.valueOf(version)), await open(vault.valueOf('first'))]).toEqual([200, 403]);
  await expectNoValues(handle, 'door', [vault.valueOf(version), vault.valueOf('first')]);
});

it('rotates the others where nobody decides about a swap, and says of which', async () => {
  await start({ 'approval.expiresAfterMinutes': 0.02 });
  const former = keys().find(({ state }) => state === 'active')!.version;
  const doors = vault.versions();
  const { outcome, message } = await driver.run(ROTATE, { secrets: ['door', 'session-signing'] });
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringContaining('door: nobody decided in time about its swap'),
  ]);
  expect([keys().find(({ version }) => version === former)!.state, vault.versions()]).toEqual([
    'retired',
    doors,
  ]);
});
