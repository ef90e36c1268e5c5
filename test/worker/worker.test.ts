import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { stringify } from 'yaml';
import { createGuardActivities } from '../../src/activities/guard/guard-activities';
import { loadProject } from '../../src/check/load-project';
import type { RunStatus } from '../../src/contract/report';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { startWorker, type RunningWorker } from '../../src/worker/worker';
import { quietTemporal } from '../support/quiet';
import { askFor } from '../support/shared/ask';
import { POLICY } from '../workflows/kit/harness';

quietTemporal();
const directory = mkdtempSync(join(tmpdir(), 'worker-'));
let temporal: LocalTemporal;
let client: Client;
let code: string;
beforeAll(async () => {
  const bundle = askFor('bundle', require.resolve('./workflows'));
  temporal = await startTemporal({ directory, ephemeral: true });
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  code = await readFile(await bundle, 'utf8');
});
afterAll(async () => {
  await client?.connection.close();
  await temporal?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** With stand-ins for everything that `confess` needs but the step itself. */
function startWith(
  worker: object,
  repeat: (word: string) => Promise<string>,
  looked: (input: { word: string }) => Promise<void> = async () => undefined,
): Promise<RunningWorker> {
  const identity = { systemIdentifier: '0000000000', database: 'booking' };
  const production = { database: { url: 'postgresql://127.0.0.1:1/booking', identity } };
  const services = { booking: { environments: { production } } };
  const file = join(directory, 'runbooks.yaml');
  writeFileSync(file, stringify({ temporal: { address: temporal.address }, services, worker }));
  const config = loadProject(file);
  return startWorker(config, {
    workflowBundle: { code },
    shutdownGraceTime: config.worker.shutdownGraceSeconds * 1_000,
    activities: {
      ...createGuardActivities({ config, client }),
      prepare: async ({ input }: { input: { word: string } }) => {
        await looked(input);
        return { title: 'Stand-in', input, policy: POLICY };
      },
      announce: async () => ({ told: [], problems: [] }),
      repeat: ({ word }: { word: string }) => repeat(word),
    },
  });
}

/** A run that somebody has listened to: its only step is next. */
async function begin(word: string) {
  const handle = await client.workflow.start('confess', {
    ...{ workflowId: word, taskQueue: 'runbooks' },
    args: [{ service: 'booking', startedBy: 'ana', word }],
  });
  for (;;) {
    const status = await handle.query<RunStatus>('status').catch(() => undefined);
    const task = status?.waiting.find(({ kind }) => kind === 'task');
    if (task !== undefined) {
      await handle.executeUpdate('done', { args: [{ task: task.id, by: 'ben' }] });
      return handle;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a worker', () => {
  it('with a tuner takes no more steps at once than that allows, and without one several', async () => {
    let [now, most] = [0, 0];
    const one = await startWith({ tuner: { maxActivities: 1 } }, async (word) => {
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setTimeout(resolve, 100));
      now -= 1;
      return word;
    });
    const runs = await Promise.all(['a1', 'a2', 'a3'].map(begin));
    await Promise.all(runs.map((run) => run.result()));
    await one.stop();
    expect(most).toBe(1);

    let release = (): void => undefined;
    const both = new Promise<void>((resolve) => (release = resolve));
    let begun = 0;
    const several = await startWith({}, async (word) => {
      if ((begun += 1) === 2) release();
      // It ends only once the other one has begun, too.
      await both;
      return word;
    });
    const two = await Promise.all(['b1', 'b2'].map(begin));
    await Promise.all(two.map((run) => run.result()));
    await several.stop();
    expect(begun).toBe(2);
  });

  it('with a tuner has turns for more than two, however little memory is left: those who ask need others to answer', async () => {
    const begun = new Set<string>();
    let release = (): void => undefined;
    const three = new Promise<void>((resolve) => (release = resolve));
    const worker = await startWith(
      { tuner: { targetMemoryUsage: 0.1 } },
      async (word) => word,
      async ({ word }) => {
        if (begun.add(word).size === 3) release();
        // A part of the run's turn, which ends only once the others have begun theirs.
        await three;
      },
    );
    const runs = await Promise.all(['d1', 'd2', 'd3'].map(begin));
    for (const run of runs) expect(await run.result()).toMatchObject({ outcome: 'SUCCEEDED' });
    await worker.stop();
  });

  it('that is told to stop lets a step go on to its end, which counts', async () => {
    let [hasBegun, end] = [() => undefined as void, () => undefined as void];
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const ending = new Promise<void>((resolve) => (end = resolve));
    const worker = await startWith({ shutdownGraceSeconds: 300 }, async (word) => {
      hasBegun();
      await ending;
      return word;
    });
    const run = await begin('c1');
    await begun;
    const stopped = worker.stop();
    while (worker.worker.getState() === 'RUNNING') await new Promise((resolve) => setTimeout(resolve, 10));
    end();
    await stopped;
    const next = await startWith({}, async () => 'a second time');
    expect(await run.result()).toMatchObject({ outcome: 'SUCCEEDED', summary: 'c1' });
    await next.stop();
  });
});
