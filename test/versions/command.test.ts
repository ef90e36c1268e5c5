import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/config/version';
import { DeploymentsUnsupported } from '../../src/versions/deployment';
import { buildIdOf, readBundle } from '../../src/worker/build-id';
import { workflowBundle } from '../../src/build/workflow-bundle';
import { quietTemporal } from '../support/quiet';
import { createWorld, until, type World } from './world';

quietTemporal();
jest.setTimeout(180_000);

describe('runbooks versions', () => {
  let world: World;
  let old: string;
  beforeAll(async () => {
    world = await createWorld();
    old = buildIdOf(world.bundles.old.code);
  });
  afterAll(() => world?.stop());

  it('says that there is nothing before a worker has asked for work', async () => {
    for (const args of [['versions'], ['versions', 'set-current', old]]) {
      const { code, stderr } = await world.cli(...args);
      expect(code).toBe(5);
      expect(stderr).toContain('Temporal knows no deployment ops: no worker of it has asked for work yet');
    }
  });

  it('makes it visible where it is looked for that new runs would wait', async () => {
    await world.startWorker('old');
    const { stdout } = await until(
      () => world.cli('versions'),
      (result) => result.stdout.includes('although workers listen'),
    );
    expect(stdout).toMatch(new RegExp(`${old} +inactive .* 1 +was never current: no run is on it`));
    const problem = `No version of ops is current: new runs wait, although workers listen (${old}). Make one current: \`runbooks versions set-current ${old}\`.`;
    expect(stdout).toContain(problem);
    const { checks } = JSON.parse((await world.cli('--json', 'check')).stdout) as { checks: object[] };
    expect(checks).toContainEqual({ what: 'workers', state: 'warning', detail: problem });
    const started = await world.cli('start', 'drillRestore', '--service', 'booking', '--mode', 'observe');
    expect(started.code).toBe(0);
    expect(started.stderr).toContain(problem);
  });

  it('refuses a version that no worker has polled for, and one whose workers listen elsewhere', async () => {
    const unknown = await world.cli('versions', 'set-current', 'nonsense');
    expect(unknown.code).toBe(5);
    expect(unknown.stderr).toContain(
      `No worker of version nonsense of ops has asked for work yet. Start one with \`runbooks worker\` and try again. Known: ${old}.`,
    );
    await world.startWorker('new', { taskQueue: 'elsewhere' });
    const other = buildIdOf(world.bundles.new.code);
    const refused = await until(
      () => world.cli('versions', 'set-current', other),
      ({ code }) => code !== 5,
    );
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(
      `No worker of version ${other} listens on task queue runbooks now: every new run would wait`,
    );
  });

  it('makes a version current, once, and keeps who did it', async () => {
    const set = await world.cli('versions', 'set-current', old, '--by', 'ana');
    expect(set.stdout).toBe(
      `New runs go to version ${old} now; guards and incidents move there with their next step.\n`,
    );
    const again = await world.cli('versions', 'set-current', old);
    expect(again.stdout).toBe(`New runs go to version ${old} already.\n`);
    const unversioned = await world.cli('versions', 'set-current', '--unversioned');
    expect(unversioned.stderr).toContain('No worker without a version listens on task queue runbooks now');
    const { workerDeploymentInfo } = await world.client.workflowService.describeWorkerDeployment({
      namespace: 'default',
      deploymentName: 'ops',
    });
    expect(workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId).toBe(old);
    expect(workerDeploymentInfo?.lastModifierIdentity).toBe('ana');
    const { versions, problem } = JSON.parse((await world.cli('--json', 'versions')).stdout) as {
      versions: object[];
      problem: null;
    };
    expect(versions).toContainEqual(
      expect.objectContaining({ buildId: old, state: 'current', workers: 1, means: 'new runs come here' }),
    );
    expect(problem).toBeNull();
    const { checks } = JSON.parse((await world.cli('--json', 'check')).stdout) as { checks: object[] };
    expect(checks).toContainEqual({
      what: 'workers',
      state: 'ok',
      detail: `1 of version ${old} of ops take new runs`,
    });
  });

  it('switches to the release that is installed, and says whose worker must stay', async () => {
    const waiting = await world.start('waiting', 'waiting');
    await world.waiting(waiting, 'approval');
    const { buildId } = await readBundle(workflowBundle());
    const program = join(PACKAGE_ROOT, 'dist/src/cli/main.js');
    const child = spawn(process.execPath, [program, '--config', world.file, 'worker'], { env: process.env });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => (said += text.toString()));
    try {
      await until(
        async () => said,
        (text) => text.includes('health and metrics on') && text.includes('! '),
      );
      expect(said).toContain(
        `worker for booking listens on task queue runbooks, deployment ops, build ${buildId}`,
      );
      expect(said).toContain(
        `! new runs go to version ${old} of ops; this worker goes on with those of its own version. To send new ones here: \`runbooks versions set-current ${buildId}\``,
      );
      const set = await until(
        () => world.cli('versions', 'set-current'),
        ({ code }) => code === 0,
      );
      expect(set.stderr).toContain(`Runs that began on ${old} end on it: keep its worker`);
      const { stdout } = await until(
        () => world.cli('versions'),
        (result) => result.stdout.includes('draining'),
      );
      expect(stdout).toMatch(new RegExp(`${buildId} +current .* 1 +new runs come here`));
      expect(stdout).toMatch(
        new RegExp(`${old} +draining .* 1 +1 run ends on it, e\\.g\\. waiting: keep its`),
      );
      const workersIn = async (file: string) => {
        const { stdout: checked } = await world.cli('--config', file, '--json', 'check');
        const { checks } = JSON.parse(checked) as {
          checks: { what: string; state: string; detail: string }[];
        };
        return checks.find(({ what }) => what === 'workers');
      };
      expect(await workersIn(world.file)).toMatchObject({ state: 'ok' });
      // A comment changes nothing, a mode does.
      const changed = `${world.file}.changed`;
      writeFileSync(changed, `${readFileSync(world.file, 'utf8')}# a comment\n`);
      expect(await workersIn(changed)).toMatchObject({ state: 'ok' });
      writeFileSync(changed, `${readFileSync(world.file, 'utf8')}    mode: observe\n`);
      expect(await workersIn(changed)).toMatchObject({
        state: 'warning',
        detail: expect.stringMatching(
          /1 of them run with another configuration than this file: runbooks .*@/,
        ),
      });
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
  });
});

describe('on a server without Worker Deployments', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ 'system.enableDeploymentVersions': 'false' });
  });
  afterAll(() => world?.stop());

  it('a worker of a deployment does not start, and check and versions say why', async () => {
    await expect(world.startWorker('old')).rejects.toThrow(DeploymentsUnsupported);
    const { code, stderr } = await world.cli('versions');
    expect(code).toBe(2);
    expect(stderr).toContain('Temporal has no Worker Deployments here');
    expect(stderr).toContain('remove worker.deploymentName from the configuration');
    const { checks } = JSON.parse((await world.cli('--json', 'check')).stdout) as { checks: object[] };
    expect(checks).toContainEqual(expect.objectContaining({ what: 'workers', state: 'failed' }));
  });
});
