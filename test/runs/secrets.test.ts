import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver();
});
afterAll(() => driver?.stack.stop());

const decoded = async (workflowId: string, runId: string): Promise<unknown> =>
  JSON.parse(historyToJSON(await driver.stack.client.workflow.getHandle(workflowId, runId).fetchHistory()));

/** Every text in a history, payloads decoded. */
function textOf(node: unknown): string {
  if (typeof node === 'string') return `${node} ${Buffer.from(node, 'base64').toString('utf8')}`;
  if (Array.isArray(node)) return node.map(textOf).join(' ');
  if (node !== null && typeof node === 'object') return Object.values(node).map(textOf).join(' ');
  return '';
}

it('no password is in any history, whatever went wrong', async () => {
  // Addresses with passwords in them, and tokens.
  const passwords = [driver.stack.postgres.url, ...Object.values(driver.stack.booking.environment)]
    .map((text) => (URL.canParse(text) ? new URL(text).password : text))
    .filter((password) => password.length > 0);
  expect(passwords.length).toBeGreaterThanOrEqual(2);

  const merge = { files: ['2026_11_03_merge_slot_capacity.sql'] };
  expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
  expect((await driver.run('drillRestore')).outcome).toBe('SUCCEEDED');
  expect((await driver.run('migrateDatabase', merge)).outcome).toBe('ROLLED_BACK');
  // A command that fails, and prints all that it was told.
  const { restore } = driver.stack.config.services['booking']!;
  const { smoke } = restore;
  restore.smoke = {
    run: ['sh', '-c', 'echo "cannot use $TOKEN at $DATABASE_URL" >&2; exit 1'],
    directory: '.',
    environment: { TOKEN: '${env:BOOKING_OPERATIONS_TOKEN}' },
    timeoutSeconds: 60,
  };
  const printed = await driver.run('drillRestore');
  restore.smoke = smoke;
  expect([printed.outcome, printed.message]).toEqual([
    'FAILED',
    expect.stringMatching(/cannot use \*+ at postgres/),
  ]);
  // A wrong password, an unreachable server: messages of drivers and tools are full of addresses.
  const { database } = driver.stack.config.services['booking']!.environments['production']!;
  const { url } = database;
  const real = new URL(driver.stack.booking.environment['BOOKING_PRODUCTION_URL']!);
  for (const broken of [
    real.href.replace(real.password, 'wrong-but-secret-password'),
    real.href.replace(`:${real.port}`, ':1'),
  ]) {
    database.url = broken;
    const { outcome, message } = await driver.run('backUpDatabase');
    expect(outcome).toBe('FAILED');
    expect(message).toMatch(/AuthenticationFailed|DatabaseUnreachable/);
  }
  database.url = url;

  let histories = 0;
  let inputs = 0;
  for await (const { workflowId, runId } of driver.stack.client.workflow.list()) {
    const text = textOf(await decoded(workflowId, runId));
    for (const password of [...passwords, 'wrong-but-secret-password']) expect(text).not.toContain(password);
    histories += 1;
    if (text.includes('"service":"booking"')) inputs += 1;
  }
  expect(histories).toBeGreaterThan(5);
  // The search itself finds something: payloads are base64 in a history.
  expect(inputs).toBeGreaterThan(3);
});
