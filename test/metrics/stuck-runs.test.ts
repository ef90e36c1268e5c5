import { ownCatalogue } from '../../src/packs/own';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { LoadedConfig } from '../../src/config/load';
import { configSchema } from '../../src/config/schema';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { EVERYTHING, readClosed, type Unread } from '../../src/metrics/closed-runs';
import { readGuards } from '../../src/metrics/read-guards';
import { countRecent, readOpenRuns } from '../../src/metrics/read-runs';
import { readSnapshot } from '../../src/metrics/snapshot';
import type { RunStatus } from '../../src/contract/report';
import { quietTemporal } from '../support/quiet';
import { askFor } from '../support/shared/ask';
import { POLICY } from '../workflows/kit/harness';

quietTemporal();
const directory = mkdtempSync(join(tmpdir(), 'stuck-runs-'));
const taskQueue = 'stuck';
const PRODUCTION = {
  database: {
    url: 'postgresql://127.0.0.1:1/shop',
    identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
  },
};
let temporal: LocalTemporal;
let native: NativeConnection;
let client: Client;
let worker: Worker;
let stopped: Promise<void>;

beforeAll(async () => {
  temporal = await startTemporal({ directory, ephemeral: true });
  native = await NativeConnection.connect({ address: temporal.address });
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  worker = await Worker.create({
    connection: native,
    taskQueue,
    workflowBundle: { codePath: await askFor('bundle', require.resolve('./workflows')) },
    activities: {
      prepare: async ({ input }: { input: object }) => ({
        title: 'Migrate a database',
        input,
        policy: { ...POLICY, mode: 'auto', ladder: [] },
      }),
      checkHealth: async () => [],
      announce: async () => ({ told: [], problems: [] }),
      readSwitch: async () => [],
    },
  });
  stopped = worker.run();
});
afterAll(async () => {
  if (worker?.getState() === 'RUNNING') worker.shutdown();
  await stopped;
  await client?.connection.close();
  await native?.close();
  await temporal?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    const found = await look();
    if (found !== undefined) return found;
    if (tries > 1_800) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const start = (workflowId: string) =>
  client.workflow.start('migrateDatabase', {
    taskQueue,
    workflowId,
    args: [{ service: 'booking', startedBy: 'ana' }],
  });
const waitingRuns = () =>
  until(async () => {
    const { waiting } = await readOpenRuns(client, ownCatalogue, true, []);
    return waiting.length > 0 ? waiting : undefined;
  });
const services = { services: { booking: {} } } as unknown as LoadedConfig;

test('a run whose way back failed needs a person now, and after that it did within the last day', async () => {
  const handle = await start('stuck-1');
  expect(await waitingRuns()).toEqual([
    expect.objectContaining({
      service: 'booking',
      runbook: 'migrateDatabase',
      kind: 'task',
      needsHuman: true,
    }),
  ]);
  expect((await countRecent(client, services)).needsHuman.get('booking')).toBe(0);
  const { waiting } = await handle.query<RunStatus>('status');
  await handle.executeUpdate('done', { args: [{ task: waiting[0]!.id, by: 'ben', note: 'freed the disk' }] });
  await expect(handle.result()).rejects.toThrow();
  await until(async () =>
    (await countRecent(client, services)).needsHuman.get('booking') === 1 ? true : undefined,
  );
  expect(await readOpenRuns(client, ownCatalogue, true, [])).toEqual({ open: [], waiting: [] });
});

describe('a thousand services', () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `service-${index}`);
  const RUNS = 230;
  const config = {
    catalogue: ownCatalogue,
    ...configSchema.parse({
      temporal: { taskQueue },
      services: Object.fromEntries(
        names.map((name) => [
          name,
          { environments: { production: PRODUCTION }, backups: { directory: 'backups' } },
        ]),
      ),
      schedules: Object.fromEntries(
        names.map((name) => [
          name,
          { runbook: 'backUpDatabase', input: { service: name }, cron: '0 3 * * *' },
        ]),
      ),
    }),
    file: '',
    directory: '',
  };
  const backUp = async (service: string, startedAt: string) => {
    const report = { service, environment: 'production', outcome: 'SUCCEEDED', startedAt, facts: {} };
    const workflowId = `backUpDatabase/${service}/${startedAt}`;
    const handle = await client.workflow.start('backUpDatabase', {
      taskQueue: 'nobody',
      workflowId,
      memo: { report },
    });
    await handle.terminate();
  };
  const OLD = '2026-11-01T00:00:00.000Z';
  const closed = (count: number) =>
    until(async () => {
      const query = `WorkflowType = 'backUpDatabase' AND ExecutionStatus != 'Running'`;
      return (await client.workflow.count(query)).count >= count ? true : undefined;
    });
  beforeAll(async () => {
    for (let first = 0; first < RUNS; first += 10)
      await Promise.all(names.slice(first, Math.min(first + 10, RUNS)).map((name) => backUp(name, OLD)));
    await closed(RUNS);
  });

  it('cost a few searches a reading, and what was not read yet is said', async () => {
    const { workflowService } = client;
    const lists = jest.spyOn(workflowService, 'listWorkflowExecutions');
    const counts = jest.spyOn(workflowService, 'countWorkflowExecutions');
    const schedules = jest.spyOn(workflowService, 'describeSchedule');
    const first = await readSnapshot(client, config, undefined);
    const calls = () => [lists, counts].reduce((sum, { mock }) => sum + mock.calls.length, 0);
    expect(calls()).toBeLessThan(12);
    expect(schedules.mock.calls.length).toBe(60);
    expect(first.unread).toEqual({ runs: 0, endings: 0, proofs: 0, schedules: 940, guards: 0 });
    expect([...first.proofs.values()].filter(({ backupMs }) => backupMs! > 0)).toHaveLength(RUNS);
    expect([...first.proofs.values()].filter(({ backupMs }) => backupMs === 0)).toHaveLength(1_000 - RUNS);

    const before = calls();
    await backUp('service-7', '2026-11-20T00:00:00.000Z');
    await closed(RUNS + 1);
    const second = await readSnapshot(client, config, first);
    // Runs of the last minute are read again.
    expect(calls() - before).toBeLessThan(12);
    expect(second.proofs.get('service-7')?.backupMs).toBe(Date.parse('2026-11-20T00:00:00.000Z'));
    expect(second.unread['schedules']).toBe(880);
    for (const spy of [lists, counts, schedules]) spy.mockRestore();
  });

  it('are read a part at a time, each run at least once, and then only what is new', async () => {
    const seen = new Set<string>();
    let unread: readonly Unread[] = EVERYTHING;
    const query = `WorkflowType = 'backUpDatabase'`;
    const read = async () => {
      unread = await readClosed(client, query, unread, ({ workflowId }) => seen.add(workflowId), {
        pageSize: 20,
        maxRuns: 40,
      });
    };
    await read();
    expect([seen.size, unread.length]).toEqual([40, 2]);
    for (let readings = 1; unread.length > 1; readings += 1) {
      expect(readings).toBeLessThan(60);
      await read();
    }
    expect(seen.size).toBe(RUNS + 1);
  });
});

// Last: nobody works here afterwards.
test('without a worker what waits is still known, and runs and guards are as they were', async () => {
  const handle = await start('stuck-2');
  const [before] = await waitingRuns();
  await client.workflow.signalWithStart('guard', {
    workflowId: 'guard/all',
    taskQueue,
    args: [{ target: 'all' }],
    signal: 'pause',
    signalArgs: [{ by: 'ben', reason: 'looking' }],
  });
  const guards = await until(async () => {
    const { guards: found } = await readGuards(client, true, []);
    return found.some(({ paused }) => paused) ? found : undefined;
  });
  worker.shutdown();
  await stopped;

  expect((await readOpenRuns(client, ownCatalogue, false, [before!])).waiting).toEqual([before]);
  // One that was started in between knows nothing: since its start is the longest that a run can have waited.
  const startMs = (await handle.describe()).startTime.getTime();
  const { waiting } = await readOpenRuns(client, ownCatalogue, false, []);
  expect(waiting).toEqual([{ ...before, sinceMs: startMs, needsHuman: false }]);
  expect(startMs).toBeLessThanOrEqual(before!.sinceMs);
  expect((await readGuards(client, false, guards)).guards).toBe(guards);
  // One that believes in a worker that has just gone.
  expect((await readGuards(client, true, guards)).guards).toEqual(guards);
});
