import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetch } from 'undici';
import { startBookingApp, type BookingApp } from '../../examples/booking/app';
import { setUpDeployments } from '../../examples/shared/deployments';
import { sampleProgram } from '../../examples/booking/files';
import { createBookingDatabase } from '../../examples/booking/generate';
import { eventually, startTestCluster, type TestCluster } from './support';

let cluster: TestCluster;
let app: BookingApp;
let directory: string;
beforeAll(async () => {
  cluster = await startTestCluster();
  const { urls } = await createBookingDatabase({
    adminUrl: cluster.url,
    name: 'booking',
    size: { bookings: 300 },
  });
  directory = mkdtempSync(join(tmpdir(), 'booking-state-'));
  setUpDeployments(directory);
  app = await startBookingApp({ databaseUrl: urls.app, directory });
});
afterAll(async () => {
  await app?.stop();
  await cluster?.remove();
  rmSync(directory, { recursive: true, force: true });
});

const run = (program: string, args: string[], environment: Record<string, string> = {}): string =>
  execFileSync(process.execPath, [sampleProgram(program), ...args], {
    cwd: directory,
    env: { ...environment, RUNBOOKS_CONFIG: join(directory, 'runbooks.yaml') },
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();
const status = async (path = '/slots'): Promise<number> => (await fetch(`${app.url}${path}`)).status;
const detailed = async () =>
  (await (await fetch(`${app.url}/api/health/detailed`)).json()) as {
    release: string;
    checks: Record<string, { ok: boolean; error?: string }>;
  };

test('it serves the release that is in front, the bad one too, and the one before again', async () => {
  expect(await detailed()).toMatchObject({ release: '1.4.1' });
  expect(run('trouble.js', ['bad-deploy'])).toContain('1.5.0 is in front as dep-3');
  await eventually(status, (code) => code === 500);
  expect(await status('/health/ready')).toBe(503);
  expect((await detailed()).checks['availability']?.error).toMatch(/column "rating" does not exist/);
  run('deploy.js', ['promote'], { DEPLOYMENT_ID: 'dep-2' });
  await eventually(status, (code) => code === 200);
  const listed = JSON.parse(run('deploy.js', ['list'])) as {
    id: string;
    current: boolean;
    rolledBackAt?: string;
  }[];
  expect(listed.map(({ id, current, rolledBackAt }) => [id, current, rolledBackAt !== undefined])).toEqual([
    ['dep-3', false, true],
    ['dep-2', true, false],
    ['dep-1', false, false],
  ]);
});

test('a version that was never built serves nothing but errors', async () => {
  run('deploy.js', ['version', '9.9.9']);
  await eventually(status, (code) => code === 500);
  run('deploy.js', ['promote'], { DEPLOYMENT_ID: 'dep-2' });
  await eventually(status, (code) => code === 200);
});

test.each([
  [['promote'], {}, /DEPLOYMENT_ID is not set/],
  [['promote'], { DEPLOYMENT_ID: 'dep-9' }, /there is no deployment dep-9/],
  [['sing'], {}, /expected: deploy list/],
])('the deployment tool refuses %j with %j', (args, environment, message) => {
  expect(() => run('deploy.js', args, environment as Record<string, string>)).toThrow(message);
});

test('a feature that is broken breaks searches only while it is on, and its check says so', async () => {
  run('trouble.js', ['broken-feature']);
  await eventually(status, (code) => code === 500);
  expect((await detailed()).checks['recommendations']).toMatchObject({
    ok: false,
    error: expect.stringContaining('permission denied for table resources') as string,
  });
  run('switches.js', ['feature', 'recommendations', 'off']);
  await eventually(status, (code) => code === 200);
  expect((await detailed()).checks).not.toHaveProperty('recommendations');
});

test('customers above the limit are refused and counted; health checks are not', async () => {
  run('trouble.js', ['tight-limit']);
  await eventually(status, (code) => code === 429);
  const limits = (await (await fetch(`${app.url}/api/rate-limit/status`)).json()) as { refusedShare: number };
  expect(limits).toMatchObject({ requestsPerSecond: 1, refusedShare: expect.any(Number) as number });
  expect(limits.refusedShare).toBeGreaterThan(0);
  const health = await Promise.all(Array.from({ length: 10 }, () => status('/health')));
  expect(new Set(health)).toEqual(new Set([200]));
  run('switches.js', ['limit', 'default']);
  await eventually(
    async () => Promise.all(Array.from({ length: 5 }, () => status())),
    (codes) => codes.every((code) => code === 200),
  );
  expect(() => run('switches.js', ['limit', 'none'])).toThrow(/expected: switches feature/);
});
