import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import { Registry } from 'prom-client';
import { stringify } from 'yaml';
import { loadProject } from '../../src/check/load-project';
import { explainError } from '../../src/cli/explain-error';
import { GUARD_MEMO, guardId } from '../../src/contract/guard';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { collectFromTemporal } from '../../src/metrics/collect';
import { readGuards } from '../../src/metrics/read-guards';
import { runCli, temporaryFolder } from '../cli/harness';
import { parseMetrics } from '../support/scrape';

// A namespace of Temporal Cloud has no more, for everybody who asks.
const VISIBILITY_CALLS_PER_SECOND = 30;
const SERVICES = 1_000;
// Each is a workflow of the server's own, and each look at one a task for its only two cores. More of them show nothing else.
const SCHEDULES = 200;
const folder = temporaryFolder();
const file = join(folder.path, 'runbooks.yaml');
let temporal: LocalTemporal;
let client: Client;
let greedy: Connection;

beforeAll(async () => {
  temporal = await startTemporal({
    directory: join(folder.path, 'temporal'),
    ephemeral: true,
    dynamicConfig: {
      'frontend.namespaceRPS.visibility': String(VISIBILITY_CALLS_PER_SECOND),
      'frontend.namespaceBurstRatio.visibility': '1',
    },
  });
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  // It asks again at once, whatever it is told.
  greedy = await Connection.connect({ address: temporal.address, interceptors: [] });
  const production = {
    database: {
      url: 'postgresql://127.0.0.1:1/shop',
      identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
    },
  };
  const names = Array.from({ length: SERVICES }, (_, index) => `service-${index}`);
  const each = <T>(of: string[], value: (name: string) => T) =>
    Object.fromEntries(of.map((name) => [name, value(name)]));
  writeFileSync(
    file,
    stringify({
      temporal: { address: temporal.address },
      services: each(names, () => ({ environments: { production }, backups: { directory: 'backups' } })),
      schedules: each(names.slice(0, SCHEDULES), (service) => ({
        ...{ runbook: 'backUpDatabase', input: { service }, cron: '0 3 * * *' },
      })),
    }),
  );
});
afterAll(async () => {
  await greedy?.close();
  await client?.connection.close();
  await temporal?.stop();
  folder.remove();
});

const cli = (...args: string[]) => runCli(['--config', file, ...args], { cwd: folder.path });

/** Takes all that the limit allows while `body` runs. Returns how often it was refused. */
async function withGreed<T>(body: () => Promise<T>): Promise<{ result: T; refused: number }> {
  let [hungry, refused] = [true, 0];
  const eat = async (): Promise<void> => {
    while (hungry) {
      await greedy.workflowService
        .countWorkflowExecutions({ namespace: 'default', query: '' })
        .catch(() => (refused += 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const eating = Promise.all(Array.from({ length: 4 }, eat));
  try {
    return { result: await body(), refused };
  } finally {
    hungry = false;
    await eating;
  }
}

/** Of a guard of which nobody works; what it knows stands in its memo. */
async function leaveGuard(target: string, by: string): Promise<void> {
  const memory = {
    paused: { by, reason: 'looking', at: new Date().toISOString() },
    ...{ holder: null, lastToken: 0, open: [], ceilings: {}, sick: {}, changes: [] },
  };
  const start = { workflowId: guardId(target), taskQueue: 'nobody', memo: { [GUARD_MEMO]: memory } };
  await client.workflow.start('guard', { ...start, args: [{ target }] });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 300) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test('a guard that was ended is known by its last memory until another one follows it', async () => {
  await leaveGuard('service-1', 'ben');
  await client.workflow.getHandle(guardId('service-1')).terminate();
  const paused = async () => {
    const { guards, unasked } = await readGuards(client, true, []);
    return { pausedBy: guards.find(({ target }) => target === 'service-1')?.paused, unasked };
  };
  await until(async () => (await paused()).pausedBy === true);
  // Nobody was asked who waits there.
  expect((await paused()).unasked).toBe(1);
});

test('schedules of hundreds of services are applied, compared and listed', async () => {
  expect(await cli('schedules', 'apply')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`Applied: ${SCHEDULES}.`) as string,
  });
  expect(await cli('schedules', 'diff')).toMatchObject({ code: 0, stdout: 'No difference.\n' });
  const { code, stdout } = await cli('--json', 'schedules', 'list');
  const states = JSON.parse(stdout) as { applied: boolean }[];
  expect([code, states.filter(({ applied }) => applied).length]).toEqual([0, SCHEDULES]);
});

test('status and check work beside somebody who takes all that the limit allows, and so do schedules', async () => {
  const { result, refused } = await withGreed(async () => {
    const status = await cli('status');
    const listed = await cli('schedules', 'list');
    const checked = await cli('--json', 'check');
    return { status, listed, checked };
  });
  expect(refused).toBeGreaterThan(0);
  const { status, listed, checked } = result;
  // What it could not read it says, and not that there is nothing.
  if (status.code !== 0) expect(status.stderr).toMatch(/Temporal takes no more requests/);
  else expect(status.stdout + status.stderr).toMatch(/[Nn]o run|open/);
  expect(listed.code).toBe(0);
  const { checks } = JSON.parse(checked.stdout) as { checks: { what: string; state: string }[] };
  expect(checks.find(({ what }) => what === 'temporal')?.state).toBe('ok');
  expect(checks.filter(({ what }) => what.endsWith('/production database'))).toHaveLength(SERVICES);
});

test('the collector keeps what it knows, and says what it could not read', async () => {
  const registry = new Registry();
  const config = loadProject(file);
  await leaveGuard('service-2', 'cleo');
  const collector = collectFromTemporal(client, config, registry, {
    ...{ freshMs: 0, waitMs: 60_000, readMs: 8_000 },
  });
  const read = async () => parseMetrics(await registry.metrics());
  const unreadOf = (samples: Map<string, number>) =>
    ['runs', 'endings', 'guards', 'proofs'].map((what) => samples.get(`runbooks_unread{what="${what}"}`));
  const paused = 'runbooks_guard_paused{target="service-2"}';
  try {
    // Without a worker guards are not asked; this one thinks that there is one.
    await client.workflow.start('backUpDatabase', { workflowId: 'open', taskQueue: 'nobody' });
    let before = new Map<string, number>();
    await until(
      async () =>
        (before = await read()).get('runbooks_runs_open{service="",runbook="backUpDatabase"}') === 1,
    );
    expect(before.get('runbooks_unread{what="runs"}')).toBe(0);
    const { result: after } = await withGreed(async () => {
      let samples = await read();
      for (let tries = 0; tries < 5 && !unreadOf(samples).some((count) => count! > 0); tries += 1)
        samples = await read();
      return samples;
    });
    expect(after.get('runbooks_temporal_up')).toBe(1);
    expect(unreadOf(after).some((count) => count! > 0)).toBe(true);
    expect(after.get('runbooks_runs_open{service="",runbook="backUpDatabase"}')).toBe(1);
    expect(after.get(paused)).toBe(before.get(paused));
  } finally {
    await collector.stop();
  }
});

test('a request that the limit refuses has a sentence', () => {
  const refusal = Object.assign(new Error('8 RESOURCE_EXHAUSTED: namespace rate limit exceeded'), {
    code: 8,
    details: 'namespace rate limit exceeded',
  });
  expect(explainError(refusal)).toEqual({
    exitCode: 4,
    message: expect.stringMatching(/^Temporal takes no more requests .* namespace rate limit exceeded\. /),
  });
});

test('so has a namespace that is not there', () => {
  expect(explainError(new NamespaceNotFoundError('shopp'))).toEqual({
    exitCode: 5,
    message: expect.stringMatching(/^Temporal has no namespace "shopp"\. .*TEMPORAL_NAMESPACE/),
  });
});
