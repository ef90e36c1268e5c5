import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createMeasureActivities } from '../../../src/activities/application/measure';
import { createIncidentActivities } from '../../../src/activities/incidents/incident-activities';
import { ownConfigSchema } from '../../../src/packs/own';
import type { LoadedConfig } from '../../../src/config/load';
import type { ActivityDeps } from '../../../src/activities/support/deps';

const createActivities = (deps: ActivityDeps) => ({
  ...createMeasureActivities(deps),
  ...createIncidentActivities(deps),
});

let server: Server;
let url: string;
const seen: { path: string; authorization: string | undefined }[] = [];
const answers: Record<string, [number, string]> = {};
beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push({ path: request.url ?? '', authorization: request.headers.authorization });
    const [status, body] = answers[request.url ?? ''] ?? [404, 'nothing'];
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

const configOf = (application: object | undefined, incident: object = {}): LoadedConfig =>
  ({
    directory: '/tmp',
    ...ownConfigSchema.parse({
      services: {
        booking: {
          environments: {
            production: {
              database: {
                url: 'postgresql://x/y',
                identity: { systemIdentifier: '7000000000000000000', database: 'y' },
              },
              ...(application === undefined ? {} : { application }),
            },
          },
          incident,
        },
      },
    }),
  }) as unknown as LoadedConfig;

const place = { service: 'booking', environment: 'production' };
const run = <T>(call: () => Promise<T>): Promise<T> => new MockActivityEnvironment().run(call);
const activities = (application?: object, incident?: object) =>
  createActivities({ config: configOf(application, incident) });

describe('measureService', () => {
  const application = () => ({
    health: [
      { name: 'alive', url: `${url}/alive` },
      { name: 'ready', url: `${url}/ready` },
    ],
    errorRate: { url: `${url}/rate`, field: 'rate' },
  });

  it('holds when every health check and the error rate do', async () => {
    Object.assign(answers, {
      '/alive': [200, '{}'],
      '/ready': [200, '{}'],
      '/rate': [200, '{"rate":0.004}'],
    });
    const measured = await run(() => activities(application()).measureService(place));
    expect(measured).toMatchObject({ ok: true, errorRate: 0.004 });
    expect(measured.detail).toBe('health 2 of 2 well, error rate 0.40 %, objective 1.00 %');
  });

  it('says in one short line what does not', async () => {
    Object.assign(answers, { '/ready': [503, 'x'.repeat(10_000)], '/rate': [200, '{"rate":0.2}'] });
    const measured = await run(() => activities(application()).measureService(place));
    expect(measured.ok).toBe(false);
    expect(measured.detail).toMatch(/^health 1 of 2 fail \(ready: answered 503\), error rate 20\.00 %/);
    expect(measured.health[1]?.detail).toMatch(/^answered 503: xxx/);
    expect(measured.detail.length).toBeLessThan(250);
  });

  it('does not hold when the error rate cannot be read', async () => {
    Object.assign(answers, { '/ready': [200, '{}'], '/rate': [200, '{}'] });
    const measured = await run(() => activities(application()).measureService(place));
    expect(measured).toMatchObject({ ok: false, errorRate: null });
    expect(measured.detail).toMatch(/has no number at "rate"/);
  });

  it('does not hold where nothing is configured: silence proves nothing', async () => {
    expect(await run(() => activities().measureService(place))).toMatchObject({
      ok: false,
      detail: 'nothing is configured that could be measured',
    });
  });
});

describe('readIncidentChecks', () => {
  it('reads each fact with its credentials, and makes a failed check of whatever goes wrong', async () => {
    process.env['TRIAGE_TOKEN'] = 'ghp_0123456789abcdef';
    Object.assign(answers, {
      '/ci': [200, '{"workflow_runs":[{"conclusion":"success"}]}'],
      '/pr': [200, '{"state":"failure"}'],
      '/odd': [200, '{"other":1}'],
      '/html': [200, '<html>'],
      '/big': [200, `"${'x'.repeat(2_000_000)}"`],
      '/denied': [401, 'bad token ghp_0123456789abcdef'],
    });
    const check = (name: string, field: string) => ({
      name,
      url: `${url}/${name}`,
      field,
      healthy: ['success'],
    });
    const checks = [
      {
        ...check('ci', 'workflow_runs.0.conclusion'),
        headers: { authorization: 'Bearer ${env:TRIAGE_TOKEN}' },
      },
      check('pr', 'state'),
      check('odd', 'state'),
      check('html', 'state'),
      check('big', 'state'),
      check('denied', 'state'),
      { ...check('gone', 'state'), url: 'http://127.0.0.1:1/' },
    ];
    const found = await run(() => activities(undefined, { checks }).readIncidentChecks(place));
    expect(found.map(({ name, ok }) => `${name} ${ok}`)).toEqual([
      'ci true',
      'pr false',
      'odd false',
      'html false',
      'big false',
      'denied false',
      'gone false',
    ]);
    expect(found.map(({ detail }) => detail)).toEqual([
      'success',
      'failure',
      'the answer has no "state"',
      expect.stringMatching(/^could not be read: /),
      expect.stringMatching(/longer than/),
      expect.stringMatching(/^could not be read: 127.* does not accept the credentials \(401\)/),
      expect.stringMatching(/^could not be read: /),
    ]);
    expect(seen).toContainEqual({ path: '/ci', authorization: 'Bearer ghp_0123456789abcdef' });
    expect(JSON.stringify(found)).not.toContain('ghp_');
  });
});

describe('findMatchingRunbook', () => {
  const rules = {
    runbooks: [
      { match: { alertname: 'Booking.*High', team: 'shop' }, runbook: 'relieveConnectionPool' },
      {
        match: { finding: 'down|unhealthy' },
        runbook: 'resolveHighErrorRate',
        input: { environment: 'production' },
      },
    ],
  };
  const find = (labels: Record<string, string>, findings: string[] = []) =>
    run(() => activities(undefined, rules).findMatchingRunbook({ service: 'booking', labels, findings }));

  it('takes the first rule whose labels all match as a whole', async () => {
    expect(await find({ alertname: 'BookingPoolHigh', team: 'shop' }, ['down'])).toMatchObject({
      runbook: 'relieveConnectionPool',
      because: 'alertname matches Booking.*High and team matches shop',
    });
    expect(await find({ alertname: 'BookingPoolHigh' })).toBeNull();
    expect(await find({ alertname: 'xBookingPoolHigh', team: 'shop' })).toBeNull();
  });

  it('matches what triage found', async () => {
    expect(await find({}, ['recent-deployment', 'unhealthy'])).toMatchObject({
      runbook: 'resolveHighErrorRate',
      input: { environment: 'production' },
    });
    // A label of the alert cannot pose as a finding.
    expect(await find({ finding: 'down' })).toBeNull();
  });
});

describe('readIncidentPolicy', () => {
  it('gives the times of the seeds by default, and the own words beside the usual ones', async () => {
    const policy = await run(() =>
      activities(
        { errorRate: { url: 'http://x' } },
        { severities: { P1: 'P0', 'SEV-2': 'P2' } },
      ).readIncidentPolicy(place),
    );
    expect(policy).toMatchObject({
      escalateMs: { P0: 1_800_000, P1: 7_200_000 },
      updateMs: { P0: 900_000, P1: 1_800_000 },
      meetingMs: 172_800_000,
      errorRate: { max: 0.01, warning: 0.05, critical: 0.1 },
      postmortemFor: ['P0', 'P1'],
      suspectMs: null,
    });
    expect(policy.severities).toMatchObject({ p1: 'P0', 'sev-2': 'P2', critical: 'P0', warning: 'P2' });
  });

  it('refuses a service that is not configured', async () => {
    await expect(
      run(() => activities().readIncidentPolicy({ service: 'shop', environment: 'production' })),
    ).rejects.toThrow(/unknown service "shop"/);
  });
});
