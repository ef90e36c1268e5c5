import type { WorkflowHandle } from '@temporalio/client';
import { createGuardActivities } from '../../src/activities/guard/guard-activities';
import { readGuardMemory, reviveGuards, signalGuard } from '../../src/activities/guard/reach-guard';
import type { GuardState } from '../../src/contract/guard';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
// Beside others on two cores the server, not the guard, takes most of it.
jest.setTimeout(600_000);
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver();
});
afterAll(() => driver?.stack.stop());

/** More than one history should hold. */
const STORM = 3_000;
const NOBODY = '00000000-0000-0000-0000-000000000000';

it('a guard under a storm of signals continues as new, forgets nothing, can be paused meanwhile, and still grants', async () => {
  const { client, config, worker } = driver.stack;
  // What ends a turn before it is through ends the whole process; the SDK does not promise this option.
  expect(worker.worker.options).toMatchObject({ isolateExecutionTimeoutMs: 60_000 });
  const handle = await client.workflow.signalWithStart('guard', {
    workflowId: 'guard/booking/production',
    taskQueue: config.temporal.taskQueue,
    args: [{ target: 'booking/production' }],
    signal: 'pause',
    signalArgs: [{ by: 'ben', reason: 'storm' }],
  });
  const first = (await handle.describe()).runId;
  const token = Date.now() + 1_000_000;
  // Nobody of those names runs: the guard has to bear it. Each of them gets an answer, which nobody hears.
  const ghost = (sent: number) => ({
    workflowId: `ghost-${sent}`,
    runId: NOBODY,
    runbook: 'x',
    atLeast: token,
    rank: 7,
  });
  const storm = async () => {
    for (let sent = 0; sent < STORM; sent += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          client.workflow.getHandle('guard/booking/production').signal('request', ghost(sent + at)),
        ),
      );
  };
  const now = client.workflow.getHandle('guard/booking/production');
  await Promise.all([
    storm(),
    (async () => {
      await now.signal('resume', { by: 'ben', reason: 'over' });
      await now.signal('pause', { by: 'cleo', reason: 'in the storm' });
    })(),
  ]);
  const waiting = await driver.start('backUpDatabase');
  await driver.until(waiting, ({ summary }) => summary.includes('paused by cleo'));
  const settled = async () => {
    const { letters, waiting: asking } = await now.query<GuardState>('state');
    return letters.length === 0 && asking.every(({ workflowId }) => !workflowId.startsWith('ghost'));
  };
  await now.signal('resume', { by: 'ben', reason: 'over' });
  for (let tries = 0; !(await settled()); tries += 1) {
    if (tries > 2_000) throw new Error('the guard never got through');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect((await now.describe()).runId).not.toBe(first);
  expect((await driver.end(waiting)).outcome).toBe('SUCCEEDED');
  const { lastToken, changes } = await now.query<GuardState>('state');
  expect(lastToken).toBeGreaterThan(token);
  expect(changes.map(({ what }) => what)).toEqual(['paused', 'resumed', 'paused', 'resumed']);
});

it('whoever the kill switch holds back is told at once when it is over', async () => {
  const { client, config } = driver.stack;
  const say = (signal: 'pause' | 'resume') =>
    signalGuard(client, config.temporal.taskQueue, 'all', signal, { by: 'ben', reason: 'a test' });
  const eventsOf = async (handle: WorkflowHandle) => (await handle.fetchHistory()).events ?? [];
  await say('pause');
  const held = await driver.start('backUpDatabase');
  await driver.until(held, ({ summary }) => summary.startsWith('paused by ben'));
  const { wakePaused } = createGuardActivities({ config, client });
  // It is listed as paused a moment later, and of others nobody tells it.
  const told = async () =>
    (await eventsOf(held)).some((one) => one.workflowExecutionSignaledEventAttributes?.signalName === 'wake');
  await wakePaused({ target: 'another' });
  expect(await told()).toBe(false);
  await until(async () => {
    await wakePaused({ target: 'booking/production' });
    return told();
  });
  await say('resume');
  const guard = client.workflow.getHandle('guard/all');
  await until(async () =>
    (await eventsOf(guard)).some(
      (one) => one.activityTaskScheduledEventAttributes?.activityType?.name === 'wakePaused',
    ),
  );
  expect((await driver.end(held)).outcome).toBe('SUCCEEDED');
});

it('a guard that was terminated goes on from what it knew within the hour, whether or not the configuration names its target', async () => {
  const { client, config } = driver.stack;
  const pause = { by: 'ben', reason: 'a service that has left the configuration' };
  await signalGuard(client, config.temporal.taskQueue, 'former', 'pause', pause);
  const paused = async () => (await readGuardMemory(client, 'former'))?.memory?.paused?.by === 'ben';
  const ended = `WorkflowId = 'guard/former' AND ExecutionStatus = 'Terminated'`;
  await until(paused);
  await client.workflow.getHandle('guard/former').terminate();
  await until(async () => (await client.workflow.count(ended)).count === 1);

  await reviveGuards(client, config);

  expect(await readGuardMemory(client, 'former')).toMatchObject({ runs: true, memory: { paused: pause } });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it never held');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
