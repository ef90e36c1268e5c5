import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listDeployments as readSample, setUpDeployments } from '../../../examples/shared/deployments';
import { createDeploymentActivities } from '../../../src/activities/deployments/deployment-activities';
import { configSchema } from '../../../src/config/schema';
import { failureOf, runActivity, startActivity, until } from '../../support/postgres';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'deployments-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};
const SERVICE = { service: 'shop' };
const fence = { target: 'shop/production/application', token: 7 };

/** A deployment tool that prints the file `list`, and writes down what it was told to promote. */
function start(more: Record<string, unknown> = {}, listed: unknown = usual()) {
  writeFileSync(join(directory, 'list'), typeof listed === 'string' ? listed : JSON.stringify(listed));
  const script = `echo "$DEPLOYMENT_ID $RUNBOOKS_SERVICE $RUNBOOKS_FENCING_TOKEN" >> told
    sed -i 's/"current":true/"current":false/; s/\\("id":"'$DEPLOYMENT_ID'"[^}]*"current":\\)false/\\1true/' list; echo done`;
  const deployments = { list: { run: ['cat', 'list'] }, promote: { run: ['sh', '-c', script] }, ...more };
  const config = configSchema.parse({
    services: { shop: { environments: { production: { database } }, deployments } },
  });
  return createDeploymentActivities({ config: { ...config, file: join(directory, 'x.yaml'), directory } });
}

const made = (id: string, day: number, current = false) => ({
  id,
  createdAt: `2026-11-${String(day).padStart(2, '0')}T08:00:00+01:00`,
  state: 'ready',
  current,
});
const usual = () => [made('c', 3, true), made('b', 2), { ...made('a', 1), state: 'failed' }];
const told = () => {
  try {
    return readFileSync(join(directory, 'told'), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};

describe('the list', () => {
  it('comes newest first, with its times in UTC and nothing that was not asked for', async () => {
    const { listDeployments } = start({}, [
      { ...made('a', 1), version: '1.0', commit: null, secret: 'x' },
      { ...made('b', 2, true), rolledBackAt: '2026-11-02T09:00:00Z' },
    ]);
    expect(await runActivity(listDeployments, SERVICE)).toEqual([
      {
        id: 'b',
        createdAt: '2026-11-02T07:00:00.000Z',
        state: 'ready',
        current: true,
        rolledBackAt: '2026-11-02T09:00:00.000Z',
      },
      { id: 'a', createdAt: '2026-11-01T07:00:00.000Z', state: 'ready', current: false, version: '1.0' },
    ]);
  });

  it('of thousands keeps the newest, and those that can be gone back to', async () => {
    const at = (index: number) => new Date(Date.UTC(2026, 0, 1) + index * 60_000).toISOString();
    const many = Array.from({ length: 3_000 }, (_, index) => ({
      id: `d${index}`,
      createdAt: at(index),
      state: 'ready',
      current: index === 1_000,
    }));
    const found = await runActivity(start({}, many).listDeployments, SERVICE);
    expect(found).toHaveLength(100);
    expect(found[0]?.id).toBe('d2999');
    expect(found[found.findIndex(({ current }) => current) + 1]?.id).toBe('d999');
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', '', /no JSON, got nothing/],
    ['a page of HTML', '<html>', /no JSON, got "<html>"/],
    ['an object', {}, /top: got {}, wanted a list/],
    [
      'a time that is none',
      [{ ...made('a', 1), createdAt: 'yesterday' }],
      /0\.createdAt: got "yesterday", wanted an ISO time/,
    ],
    ['a state that nobody knows', [{ ...made('a', 1), state: 'live' }], /0\.state: .*got "live"/],
    [
      'no word on which is in front',
      [{ id: 'a', createdAt: '2026-11-01', state: 'ready' }],
      /0\.current: .*got nothing/,
    ],
    ['an ID with a line break', [made('a\nb', 1)], /0\.id: got "a\\nb", wanted printable ASCII/],
    ['two in front', [made('a', 1, true), made('b', 2, true)], /only one can be current, got a, b/],
    ['one twice', [made('a', 1), made('a', 2)], /the ID a is there twice/],
  ])('that is %s is refused with what came and what to correct', async (_, listed, message) => {
    const failure = await failureOf(runActivity(start({}, listed).listDeployments, SERVICE));
    expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: true });
    expect(failure.message).toMatch(/`cat list` of shop did not print a list of deployments: /);
    expect(failure.message).toMatch(message);
    expect(failure.message).toMatch(/Correct deployments\.list/);
  });

  it('that fails is asked for again', async () => {
    const { listDeployments } = start({ list: { run: ['sh', '-c', 'echo broken >&2; exit 3'] } });
    const failure = await failureOf(runActivity(listDeployments, SERVICE));
    expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: false });
    expect(failure.message).toMatch(/ended with status 3: broken/);
  });

  it('is missing where nothing is configured', async () => {
    const config = configSchema.parse({ services: { shop: { environments: { production: { database } } } } });
    const { listDeployments } = createDeploymentActivities({ config: { ...config, file: 'x', directory } });
    expect(await failureOf(runActivity(listDeployments, SERVICE))).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('shop has no `deployments`') as string,
    });
  });
});

describe('a promotion', () => {
  const promote = (activities: ReturnType<typeof start>, deployment: string, from = 'c') =>
    runActivity(activities.promoteDeployment, { ...SERVICE, deployment, from, fence });

  it('puts a deployment in front, and tells the command which, for whom and with which token', async () => {
    const activities = start();
    expect(await promote(activities, 'b')).toEqual({ detail: 'done', alreadyCurrent: false });
    expect(told()).toEqual(['b shop 7']);
    const [front] = (await runActivity(activities.listDeployments, SERVICE)).filter(({ current }) => current);
    expect(front?.id).toBe('b');
  });

  it('that has happened already runs nothing', async () => {
    expect(await promote(start(), 'c', 'b')).toMatchObject({ alreadyCurrent: true });
    expect(told()).toEqual([]);
  });

  it('runs nothing where somebody has put another one in front meanwhile', async () => {
    const failure = await failureOf(promote(start(), 'b', 'x'));
    expect(failure).toMatchObject({ type: 'DeploymentChanged', nonRetryable: true });
    expect(failure.message).toMatch(/shop has c in front now and not x/);
    expect(told()).toEqual([]);
  });

  it.each([
    ['x', /deployment x of shop does not exist/],
    ['a', /deployment a of shop is failed, not ready/],
  ])('of %s is refused', async (deployment, message) => {
    const failure = await failureOf(promote(start(), deployment));
    expect(failure).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringMatching(message) as string,
    });
    expect(told()).toEqual([]);
  });

  it('waits for a platform that takes its time, and says that it is alive', async () => {
    const late = `(sleep 1.5; sed -i 's/"current":true/"current":false/; s/\\("id":"b"[^}]*"current":\\)false/\\1true/' list) >/dev/null 2>&1 & echo begun`;
    const activities = start({ promote: { run: ['sh', '-c', late] } });
    const { result, beats } = startActivity(activities.promoteDeployment, {
      ...SERVICE,
      deployment: 'b',
      from: 'c',
      fence,
    });
    expect(await result).toEqual({ detail: 'begun', alreadyCurrent: false });
    expect(beats.length).toBeGreaterThan(2);
  });

  it('that never shows is a failure', async () => {
    const activities = start({ promote: { run: ['true'] }, settleSeconds: 0 });
    const failure = await failureOf(promote(activities, 'b'));
    expect(failure.message).toMatch(
      /`true` succeeded, but 0 s later the list of shop still does not show b in front/,
    );
  });

  it('stops waiting when it is cancelled', async () => {
    const activities = start({ promote: { run: ['true'] } });
    const run = startActivity(activities.promoteDeployment, {
      ...SERVICE,
      deployment: 'b',
      from: 'c',
      fence,
    });
    await until(() => run.beats.some((beat) => (beat as { phase: string }).phase.startsWith('wait')));
    run.cancel();
    await expect(run.result).rejects.toThrow(/abort|cancel/i);
  });
});

it('the tool of the sample keeps a fence: a run that lost its lease promotes nothing', async () => {
  setUpDeployments(directory);
  const program = join(__dirname, '../../../dist/examples/booking/deploy.js');
  const activities = start({
    list: { run: [process.execPath, program, 'list'] },
    promote: { run: [process.execPath, program, 'promote'] },
  });
  const change = (deployment: string, from: string, token: number) =>
    runActivity(activities.promoteDeployment, { ...SERVICE, deployment, from, fence: { ...fence, token } });
  await change('dep-1', 'dep-2', 9);
  expect((await failureOf(change('dep-2', 'dep-1', 8))).message).toMatch(/fencing token 8 is older than 9/);
  const front = () => readSample(directory).find(({ current }) => current)?.id;
  expect(front()).toBe('dep-1');
  await change('dep-2', 'dep-1', 9);
  expect(front()).toBe('dep-2');
});
