import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReleaseActivities } from '../../../src/activities/deployments/release-activities';
import { configSchema } from '../../../src/config/schema';
import { failureOf, runActivity, startActivity, until } from '../../support/postgres';

/** A deployment tool: `list`, and what `after` says of it once `deploy` has run; it writes down what it was told. */
const TOOL = `
const fs = require('node:fs');
const [verb] = process.argv.slice(2);
const { RELEASE_VERSION, RELEASE_COMMIT, DEPLOYMENT_ID, RUNBOOKS_ENVIRONMENT, RUNBOOKS_FENCING_TOKEN } = process.env;
fs.appendFileSync('told', [verb, RELEASE_VERSION ?? DEPLOYMENT_ID, RELEASE_COMMIT ?? '-', RUNBOOKS_ENVIRONMENT, RUNBOOKS_FENCING_TOKEN].join(' ') + '\\n');
if (fs.existsSync('after')) fs.renameSync('after', 'list');
console.log('done');`;

const COMMIT = 'b'.repeat(40);
const release = { version: '2.0.0', commit: COMMIT };
const made = (id: string, more: Record<string, unknown> = {}) => ({
  ...{ id, createdAt: '2026-11-01T08:00:00Z', state: 'ready', current: false },
  ...more,
});
const OLD = made('old', { current: true, version: '1.0.0', commit: 'a'.repeat(40) });
const NEW = made('new', { ...release, createdAt: '2026-11-02T08:00:00Z' });
const fence = { target: 'shop/production/application', token: 7 };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'release-'));
  writeFileSync(join(directory, 'tool.cjs'), TOOL);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const put = (name: 'list' | 'after', rows: unknown[]) =>
  writeFileSync(join(directory, name), JSON.stringify(rows));
const told = () =>
  existsSync(join(directory, 'told')) ? readFileSync(join(directory, 'told'), 'utf8').trim().split('\n') : [];

function start(listed: unknown[], more: Record<string, unknown> = {}) {
  put('list', listed);
  const tool = (verb: string) => ({ run: [process.execPath, 'tool.cjs', verb] });
  const list = { run: ['cat', 'list'] };
  const staging = { list, deploy: tool('deploy') };
  const database = {
    url: 'postgresql://x',
    identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
  };
  const deployments = {
    ...{ list, promote: tool('promote') },
    release: { deploy: tool('deploy'), retire: tool('retire'), readySeconds: 5, staging, ...more },
  };
  const config = configSchema.parse({
    services: { shop: { environments: { production: { database }, staging: { database } }, deployments } },
  });
  return createReleaseActivities({ config: { ...config, file: join(directory, 'x.yaml'), directory } });
}

const beside = (activities: ReturnType<typeof start>, from = 'old') =>
  runActivity(activities.deployBeside, { service: 'shop', release, from, fence });

describe('a version beside the one in front', () => {
  it('is deployed, and there once the list shows it ready', async () => {
    put('after', [OLD, NEW]);
    expect(await beside(start([OLD]))).toMatchObject({ deployment: { id: 'new' }, alreadyThere: false });
    expect(told()).toEqual([`deploy 2.0.0 ${COMMIT} production 7`]);
  });

  it('is not deployed again where it is there already', async () => {
    expect(await beside(start([OLD, NEW]))).toMatchObject({ alreadyThere: true });
    expect(told()).toEqual([]);
  });

  it('is not deployed again where an attempt before has begun it, and is waited for', async () => {
    const { result, beats } = startActivity(start([OLD, { ...NEW, state: 'building' }]).deployBeside, {
      ...{ service: 'shop', release, from: 'old', fence },
    });
    await until(() =>
      beats.some((beat) => (beat as { phase: string }).phase === 'wait until 2.0.0 is ready'),
    );
    put('list', [OLD, NEW]);
    expect(await result).toMatchObject({ deployment: { id: 'new' }, alreadyThere: false });
    expect(told()).toEqual([]);
  });

  it('is deployed where it failed before', async () => {
    const failed = { ...NEW, id: 'failed', state: 'failed', createdAt: '2026-11-03T08:00:00Z' };
    put('after', [OLD, failed, NEW]);
    expect(await beside(start([OLD, failed]))).toMatchObject({ deployment: { id: 'new' } });
    expect(told()).toHaveLength(1);
  });

  it('that fails while it is built is an error at once', async () => {
    put('after', [OLD, { ...NEW, state: 'failed' }]);
    const failure = await failureOf(beside(start([OLD], { readySeconds: 600 })));
    expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: true });
    expect(failure.message).toMatch(
      /of shop\/production shows new as failed, where `.* deploy` was to make it/,
    );
  });

  it('that never shows is an error in the end', async () => {
    const failure = await failureOf(beside(start([OLD], { readySeconds: 1 })));
    expect(failure.message).toMatch(/does not show 2\.0\.0 of b+ after 1 s/);
  });

  it.each([
    [
      'another one is in front by now',
      [made('other', { current: true }), { ...OLD, current: false }],
      /has other in front now and not old/,
    ],
    ['nothing is in front', [made('other')], /has nothing in front now and not old/],
  ])('is not deployed where %s', async (_, listed, message) => {
    const failure = await failureOf(beside(start(listed)));
    expect(failure).toMatchObject({ type: 'DeploymentChanged', nonRetryable: true });
    expect(failure.message).toMatch(message);
    expect(told()).toEqual([]);
  });

  it('is taken where it is in front itself by now, as the tool has it', async () => {
    const found = await beside(
      start([
        { ...OLD, current: false },
        { ...NEW, current: true },
      ]),
    );
    expect(found).toMatchObject({ deployment: { id: 'new' }, alreadyThere: true });
  });
});

describe('staging', () => {
  const toStaging = (activities: ReturnType<typeof start>) =>
    runActivity(activities.deployToStaging, { service: 'shop', release, fence });

  it('has a version only where that is in front there', async () => {
    put('after', [
      { ...OLD, current: false },
      { ...NEW, current: true },
    ]);
    expect(await toStaging(start([OLD, NEW]))).toMatchObject({
      deployment: { id: 'new' },
      alreadyThere: false,
    });
    expect(told()).toEqual([`deploy 2.0.0 ${COMMIT} staging 7`]);
    expect(await toStaging(start([{ ...NEW, current: true }]))).toMatchObject({ alreadyThere: true });
    expect(told()).toHaveLength(1);
  });

  it('that does not put it in front is an error', async () => {
    const failure = await failureOf(toStaging(start([OLD, NEW], { readySeconds: 1 })));
    expect(failure.message).toMatch(/of shop\/staging shows new as ready and not in front after 1 s/);
  });
});

describe('a version that failed', () => {
  const retire = (activities: ReturnType<typeof start>) =>
    runActivity(activities.retireDeployment, { service: 'shop', deployment: 'new', fence });

  it('is taken away', async () => {
    expect(await retire(start([OLD, NEW]))).toEqual({ detail: 'done' });
    expect(told()).toEqual(['retire new - production 7']);
  });

  it.each([
    ['is not there any more', [OLD]],
    ['has failed anyhow', [OLD, { ...NEW, state: 'failed' }]],
  ])('that %s is gone already', async (_, listed) => {
    expect(await retire(start(listed))).toEqual({ detail: 'new is gone already' });
    expect(told()).toEqual([]);
  });

  it('is never taken away from in front of customers', async () => {
    const failure = await failureOf(
      retire(
        start([
          { ...OLD, current: false },
          { ...NEW, current: true },
        ]),
      ),
    );
    expect(failure).toMatchObject({ type: 'DeploymentChanged', nonRetryable: true });
    expect(told()).toEqual([]);
  });
});
