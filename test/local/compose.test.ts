import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { parse } from 'yaml';
import { loadProject } from '../../src/check/load-project';
import { workerIdentity } from '../../src/config/worker-identity';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { obtainTemporalCli } from '../../src/local/temporal-cli';
import { searchAttributes } from '../../src/contract/search-attributes';
import { quietTemporal } from '../support/quiet';
import { askFor } from '../support/shared/ask';

const root = resolve(__dirname, '../..');
const run = promisify(execFile);
const sample = join(root, 'deploy/compose/sample.env');

quietTemporal();

interface Service {
  image?: string;
  build?: unknown;
  restart?: string;
  healthcheck?: unknown;
  networks?: string[];
  ports?: (string | { host_ip?: string })[];
}

/** docker-compose (version 1) or the plugin of docker; undefined where this machine has neither. */
const compose = [['docker-compose'], ['docker', 'compose']].find(
  ([program, ...args]) => spawnSync(program!, [...args, 'version']).status === 0,
);
if (compose === undefined) console.warn('skipped: docker-compose is not here to check docker-compose.yml');
const built = existsSync(join(root, 'dist/src/config/temporal.js'));
if (!built) console.warn("skipped: the worker's health check needs a build (`npm test` builds first)");

describe('docker-compose.yml', () => {
  const testCompose = compose === undefined ? test.skip : test;
  const config = (environmentFile: string) =>
    run(compose![0]!, [...compose!.slice(1), '--env-file', environmentFile, 'config'], {
      cwd: root,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    });

  testCompose(
    'is valid with the sample settings, and everything that stays up has a health check and a pinned image',
    async () => {
      const { services } = parse((await config(sample)).stdout) as { services: Record<string, Service> };
      expect(Object.keys(services).sort()).toEqual(
        [
          ...['postgres', 'temporal', 'temporal-namespace', 'temporal-schema', 'temporal-ui', 'worker'],
          ...['alerts', 'alertmanager', 'grafana', 'prometheus'],
        ].sort(),
      );
      for (const [name, service] of Object.entries(services)) {
        expect([name, service.image]).toEqual([name, expect.stringMatching(/:v?\d+\.\d+\S*$/)]);
        if (service.restart !== 'unless-stopped' || name === 'worker') continue;
        expect([name, service.healthcheck]).toEqual([
          name,
          expect.objectContaining({ test: expect.any(Array) }),
        ]);
      }
      expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(/^HEALTHCHECK .*worker-health\.cjs/m);
    },
  );

  testCompose.each([
    'TEMPORAL_DB_PASSWORD',
    'RUNBOOKS_CONFIG_DIR',
    'ALERTMANAGER_SECRETS_DIR',
    'GRAFANA_PASSWORD',
  ])('refuses to start without %s', async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'compose-'));
    try {
      const without = readFileSync(sample, 'utf8').replace(new RegExp(`^${name}=.*$`, 'm'), '');
      writeFileSync(join(folder, 'env'), without);
      await expect(config(join(folder, 'env'))).rejects.toMatchObject({
        stderr: expect.stringContaining('set it in .env'),
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('opens its ports on the loopback address only and holds no password', () => {
    const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
    const { services } = parse(text, { merge: true }) as { services: Record<string, Service> };
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    for (const [, value] of text.matchAll(/(?:PASSWORD|PWD): *(.*)/g))
      expect(value).toMatch(/^\$\{[A-Z_]+:\?/);
  });

  test('those who only watch cannot reach Temporal', () => {
    const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
      services: Record<string, Service>;
    };
    for (const name of ['prometheus', 'alertmanager', 'grafana'])
      expect([name, services[name]?.networks]).toEqual([name, expect.not.arrayContaining(['temporal'])]);
    expect(services['alerts']?.networks).toEqual(['temporal', 'monitoring']);
  });

  test('the image runs the worker as an ordinary user', () => {
    const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').split('\n');
    expect(lines.filter((line) => line.startsWith('USER')).at(-1)).toBe('USER node');
    expect(lines.filter((line) => line.startsWith('FROM')).every((line) => /:\d+\.\d+\.\d+/.test(line))).toBe(
      true,
    );
  });
});

describe('the scripts of the compose set-up', () => {
  const directory = mkdtempSync(join(tmpdir(), 'compose-scripts-'));
  let temporal: LocalTemporal;
  beforeAll(async () => {
    temporal = await startTemporal({ directory, ephemeral: true });
  });
  afterAll(async () => {
    await temporal.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('make the namespace with its retention and search attributes, also the second time', async () => {
    const cli = await obtainTemporalCli();
    const script = join(root, 'deploy/compose/set-up-namespace.sh');
    const environment = {
      PATH: `${resolve(cli.path, '..')}:${process.env['PATH']}`,
      HOME: directory,
      TEMPORAL_ADDRESS: temporal.address,
      NAMESPACE: 'operations',
    };
    await run('sh', [script], { env: { ...environment, RETENTION: '30d' } });
    await run('sh', [script], { env: { ...environment, RETENTION: '90d' } });
    const connection = await Connection.connect({ address: temporal.address });
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'operations' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace: 'operations',
    });
    for (const { name } of Object.values(searchAttributes)) expect(customAttributes).toHaveProperty(name);
    await connection.close();
  });

  (built ? test : test.skip)('find the worker healthy only while it asks for work', async () => {
    const file = join(directory, 'runbooks.yaml');
    writeFileSync(file, `temporal: { taskQueue: health }\nservices: {}\n`);
    const check = () =>
      run(process.execPath, [join(root, 'deploy/compose/worker-health.cjs')], {
        env: { PATH: process.env['PATH'], RUNBOOKS_CONFIG: file, TEMPORAL_ADDRESS: temporal.address },
      });
    await expect(check()).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('no worker of') });
    const connection = await NativeConnection.connect({ address: temporal.address });
    const worker = await Worker.create({
      connection,
      taskQueue: 'health',
      identity: workerIdentity(loadProject(file)),
      workflowBundle: { codePath: await askFor('bundle', require.resolve('../workflows/kit/fixtures')) },
    });
    await worker.runUntil(async () => {
      for (let left = 100; ; left--) {
        const healthy = await check().then(
          () => true,
          () => false,
        );
        if (healthy) return;
        expect(left).toBeGreaterThan(0);
      }
    });
    await connection.close();
  });
});
