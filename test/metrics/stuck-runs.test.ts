import { ownCatalogue } from '../../src/packs/own';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { LoadedConfig } from '../../src/config/load';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { readGuards } from '../../src/metrics/read-guards';
import { countRecent, readOpenRuns } from '../../src/metrics/read-runs';
import type { RunStatus } from '../../src/contract/report';
import { quietTemporal } from '../support/quiet';
import { askFor } from '../support/shared/ask';
import { POLICY } from '../workflows/kit/harness';

quietTemporal();
const directory = mkdtempSync(join(tmpdir(), 'stuck-runs-'));
const taskQueue = 'stuck';
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
  expect((await countRecent(client, services, 'NEEDS_HUMAN')).get('booking')).toBe(0);
  const { waiting } = await handle.query<RunStatus>('status');
  await handle.executeUpdate('done', { args: [{ task: waiting[0]!.id, by: 'ben', note: 'freed the disk' }] });
  await expect(handle.result()).rejects.toThrow();
  await until(async () =>
    (await countRecent(client, services, 'NEEDS_HUMAN')).get('booking') === 1 ? true : undefined,
  );
  expect(await readOpenRuns(client, ownCatalogue, true, [])).toEqual({ open: [], waiting: [] });
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
    const found = await readGuards(client, true, []);
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
  expect(await readGuards(client, false, guards)).toBe(guards);
  // One that believes in a worker that has just gone.
  expect(await readGuards(client, true, guards)).toEqual(guards);
});
