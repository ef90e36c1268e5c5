import { ownPacks } from '../../src/packs/own';
import { setCurrent } from '../../src/versions/set-current';
import { buildIdOf } from '../../src/worker/build-id';
import { VERSIONED_FLAG } from '../../src/workflows/kit/versioning';
import { quietTemporal } from '../support/quiet';
import { createWorld, until, versionsOf, type World } from './world';

quietTemporal();
jest.setTimeout(120_000);

interface Annotated {
  workflowDefinitionOptions: { versioningBehavior?: string };
}

describe('without a deployment', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world?.stop());

  it('the history of a run has nothing of a version in it', async () => {
    const worker = await world.startWorker('old', { unversioned: true });
    expect(worker.version).toEqual({
      deploymentName: undefined,
      buildId: buildIdOf(world.bundles.old.code),
      note: undefined,
    });
    const handle = await world.start('part', 'plain');
    await handle.result();
    expect(new Set(await versionsOf(handle))).toEqual(new Set([undefined]));
    const { events } = await handle.fetchHistory();
    const completed = (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: done }) => done ?? []);
    expect(completed.length).toBeGreaterThan(0);
    for (const { versioningBehavior, deploymentVersion, workerDeploymentName } of completed)
      expect({ versioningBehavior, deploymentVersion, workerDeploymentName }).toEqual({
        versioningBehavior: 0,
        deploymentVersion: null,
        workerDeploymentName: '',
      });
    expect((await handle.describe()).raw.workflowExecutionInfo?.versioningInfo).toBeNull();
  });

  it('a run moves to a version when there is one, and back when there is none any longer', async () => {
    const { client, config } = world;
    const guard = await client.workflow.signalWithStart('guard', {
      workflowId: 'guard/elsewhere',
      taskQueue: config.temporal.taskQueue,
      args: [{ target: 'elsewhere' }],
      signal: 'pause',
      signalArgs: [{ by: 'ana', reason: 'test' }],
    });
    // A server routes to a version a moment after it was made current: more than one turn may pass until then.
    const turn = async (signal: string, version: string | undefined) => {
      const { length } = await versionsOf(guard);
      await until(
        async () => {
          await guard.signal(signal, { by: 'ana', reason: 'test' });
          return (await versionsOf(guard)).slice(length);
        },
        (since) => since.length > 0 && since.at(-1) === version,
      );
    };
    await turn('pause', undefined);
    const worker = await world.startWorker('new');
    const { buildId } = worker.version;
    const wanted = { taskQueue: 'runbooks', deploymentName: 'ops', by: 'ana' };
    await until(
      () => setCurrent(client, { ...wanted, buildId }),
      () => true,
    );
    await turn('resume', buildId);
    expect(await setCurrent(client, { ...wanted, buildId: undefined })).toEqual({ before: buildId });
    // What a worker has in its memory stays with it.
    await worker.stop();
    await turn('pause', undefined);
  });
});

it('every runbook ends on the version that it began on; only what lives for weeks moves on', () => {
  const behaviours = behavioursOf(true);
  const moving = Object.keys(behaviours).filter((name) => behaviours[name] === 'AUTO_UPGRADE');
  expect(moving.sort()).toEqual(['guard', 'places', 'respondToIncident']);
  const pinned = Object.keys(behaviours).filter((name) => behaviours[name] === 'PINNED');
  expect(pinned).toHaveLength(Object.keys(behaviours).length - moving.length);
  expect(new Set(Object.values(behavioursOf(false)))).toEqual(new Set([undefined]));
});

/** What each workflow tells a worker with, or without, Worker Versioning. */
function behavioursOf(versioned: boolean): Record<string, string | undefined> {
  if (versioned) Object.assign(globalThis, { [VERSIONED_FLAG]: true });
  try {
    let workflows: object = {};
    jest.isolateModules(() => {
      const areas = ownPacks.map(({ workflows: path }) => jest.requireActual<object>(path));
      workflows = Object.assign({}, ...areas) as object;
    });
    return Object.fromEntries(
      Object.entries(workflows).map(([name, workflow]) => {
        const { workflowDefinitionOptions } = workflow as Annotated;
        return [name, workflowDefinitionOptions.versioningBehavior];
      }),
    );
  } finally {
    Reflect.deleteProperty(globalThis, VERSIONED_FLAG);
  }
}

describe('the Build ID', () => {
  const map = (folder: string) => `\n//# sourceMappingURL=data:application/json;base64,${btoa(folder)}`;

  it('is the same wherever the release was built, and another for other code', () => {
    expect(buildIdOf(`step(1);${map('/srv/a')}`)).toBe(buildIdOf(`step(1);${map('/opt/b')}`));
    expect(buildIdOf(`step(1);${map('/srv/a')}`)).not.toBe(buildIdOf(`step(2);${map('/srv/a')}`));
    expect(buildIdOf('step(1);')).toMatch(/^[0-9a-f]{12}$/);
  });
});
