import type { WorkflowHandle } from '@temporalio/client';
import { request } from 'undici';
import type { RunReport, Waiting } from '../../src/contract/report';
import { readDeployment } from '../../src/versions/deployment';
import { obstacleOf, readQueue, takersOf } from '../../src/versions/queue';
import { setCurrent } from '../../src/versions/set-current';
import { buildIdOf } from '../../src/worker/build-id';
import type { RunningWorker } from '../../src/worker/worker';
import { quietTemporal } from '../support/quiet';
import { createWorld, until, versionsOf, type World } from './world';

quietTemporal();
jest.setTimeout(180_000);

let world: World;
let oldWorker: RunningWorker;
let waiting: WorkflowHandle;
let leading: WorkflowHandle;
let guard: WorkflowHandle;
let before: string;
let after: string;
beforeAll(async () => {
  // A version counts as drained after minutes by default.
  world = await createWorld({
    'matching.wv.VersionDrainageStatusVisibilityGracePeriod': '"1s"',
    'matching.wv.VersionDrainageStatusRefreshInterval': '"1s"',
  });
  before = buildIdOf(world.bundles.old.code);
  after = buildIdOf(world.bundles.new.code);
});
afterAll(() => world?.stop());

const wanted = (buildId: string) => ({ taskQueue: 'runbooks', deploymentName: 'ops', buildId, by: 'ana' });
const queue = () => readQueue(world.client, 'runbooks');
const stateOf = async (buildId: string) =>
  (await readDeployment(world.client, 'ops'))?.versions.find((one) => one.buildId === buildId)?.state;

test('a worker of a deployment without a current version says that no new run comes to it', async () => {
  oldWorker = await world.startWorker('old');
  expect(oldWorker.version).toMatchObject({ deploymentName: 'ops', buildId: before });
  expect(oldWorker.version.note).toBe(
    `no version of ops is current: no new run comes to this worker until \`runbooks versions set-current ${before}\``,
  );
  const ready = await request(`${oldWorker.healthUrl}/health/ready`);
  expect(await ready.body.json()).toEqual({ status: 'ready', deploymentName: 'ops', buildId: before });
  const metrics = await request(`${oldWorker.healthUrl}/metrics`);
  expect(await metrics.body.text()).toContain(
    `runbooks_worker_build_info{deployment="ops",build_id="${before}"} 1`,
  );
  await until(queue, ({ workers }) => workers.length === 1);
  expect(obstacleOf(await queue())).toContain('No version of ops is current');
});

test('runs start on the version that was made current', async () => {
  await until(
    () => stateOf(before),
    (state) => state === 'inactive',
  );
  expect(await setCurrent(world.client, wanted(before))).toEqual({ before: undefined });
  expect(takersOf(await queue())).toHaveLength(1);
  waiting = await world.start('waiting', 'waiting-before');
  leading = await world.start('leading', 'leading');
  await world.waiting(waiting, 'approval');
  await world.waiting(leading, 'task');
  guard = await world.client.workflow.signalWithStart('guard', {
    workflowId: 'guard/elsewhere',
    taskQueue: 'runbooks',
    args: [{ target: 'elsewhere' }],
    signal: 'pause',
    signalArgs: [{ by: 'ana', reason: 'test' }],
  });
  await until(
    () => versionsOf(guard),
    (versions) => versions.length > 0,
  );
  for (const handle of [waiting, leading, guard])
    expect(new Set(await versionsOf(handle))).toEqual(new Set([before]));
});

test('after the switch a run that waited ends on the old version, and a new one runs on the new', async () => {
  const newWorker = await world.startWorker('new');
  expect(newWorker.version.note).toContain(`new runs go to version ${before} of ops`);
  await until(
    () => stateOf(after),
    (state) => state === 'inactive',
  );
  expect(await setCurrent(world.client, wanted(after))).toEqual({ before });

  const fresh = await world.start('waiting', 'waiting-after');
  expect(await answer(fresh, 'approval')).toBe('by the new release');
  expect(new Set(await versionsOf(fresh))).toEqual(new Set([after]));

  expect(await stateOf(before)).toBe('draining');
  expect(await answer(waiting, 'approval')).toBe('by the old release');
  expect(new Set(await versionsOf(waiting))).toEqual(new Set([before]));
});

test('a guard that lives across the switch moves on to the new version', async () => {
  await guard.signal('resume', { by: 'ana', reason: 'over' });
  const versions = await until(
    () => versionsOf(guard),
    (all) => all.at(-1) === after,
  );
  expect(versions[0]).toBe(before);
});

test('an incident that was opened before the switch moves on, and what it starts then begins on the new', async () => {
  expect(await answer(leading, 'task')).toBe('part of the new release');
  expect((await versionsOf(leading)).at(0)).toBe(before);
  expect((await versionsOf(leading)).at(-1)).toBe(after);
  const part = world.client.workflow.getHandle('leading/part-1');
  expect(new Set(await versionsOf(part))).toEqual(new Set([after]));
});

test('an old version is drained when its last run has ended, and not before', async () => {
  await until(
    () => stateOf(before),
    (state) => state === 'drained',
  );
  await oldWorker.stop();
});

async function answer(handle: WorkflowHandle, kind: Waiting['kind']): Promise<string> {
  const { update } = await world.waiting(handle, kind);
  await handle.executeUpdate(update.name, { args: [{ ...update.argument, by: 'ben' }] });
  return ((await handle.result()) as RunReport).summary;
}
