import type { GuardState } from '../../src/contract/guard';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  // Told to continue after hundreds of events instead of thousands, which nobody here has the patience for.
  driver = await startDriver(400, true, { 'limit.historyCount.suggestContinueAsNew': '500' });
});
afterAll(() => driver?.stack.stop());

const STORM = 1_000;

it('a guard whose history has grown long continues as new, forgets nothing, and still grants', async () => {
  const { client, config } = driver.stack;
  const handle = await client.workflow.signalWithStart('guard', {
    workflowId: 'guard/booking/production',
    taskQueue: config.temporal.taskQueue,
    args: [{ target: 'booking/production' }],
    signal: 'pause',
    signalArgs: [{ by: 'ben', reason: 'storm' }],
  });
  const first = (await handle.describe()).runId;
  const waiting = await driver.start('backUpDatabase');
  await driver.until(waiting, ({ summary }) => summary.includes('paused by ben'));
  const token = Date.now() + 1_000_000;
  // Nobody of that name runs: the guard has to bear it.
  for (let sent = 0; sent < STORM; sent += 50) {
    const ghost = { workflowId: `ghost-${sent}`, runId: '00000000-0000-0000-0000-000000000000' };
    await Promise.all(Array.from({ length: 50 }, () => handle.signal('release', ghost)));
  }
  await handle.signal('request', {
    kind: 'lease',
    workflowId: 'ghost',
    runId: '00000000-0000-0000-0000-000000000000',
    runbook: 'x',
    atLeast: token,
  });
  const now = client.workflow.getHandle('guard/booking/production');
  for (let tries = 0; (await now.describe()).runId === first; tries += 1) {
    if (tries > 900) throw new Error('the guard never continued as new');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const state = await now.query<GuardState>('state');
  expect(state.paused).toMatchObject({ by: 'ben', reason: 'storm' });
  expect(state.waiting.map(({ workflowId }) => workflowId)).toContain(waiting.workflowId);
  await now.signal('resume', { by: 'ben', reason: 'over' });
  expect((await driver.end(waiting)).outcome).toBe('SUCCEEDED');
  expect((await now.query<GuardState>('state')).lastToken).toBeGreaterThan(token);
});
