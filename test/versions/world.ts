import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode } from '@temporalio/worker';
import { createGuardActivities } from '../../src/activities/guard/guard-activities';
import type { Project } from '../../src/catalogue/catalogue';
import { loadProject } from '../../src/check/load-project';
import { startTemporal } from '../../src/local/temporal';
import type { RunStatus, Waiting } from '../../src/contract/report';
import { startWorker, type RunningWorker } from '../../src/worker/worker';
import { runCli, type CliResult } from '../cli/harness';
import { POLICY } from '../workflows/kit/harness';

/** A real server, a configuration with a deployment, and workers of two releases. */
export interface World {
  client: Client;
  config: Project;
  bundles: Record<Release, { code: string }>;
  /** Names the deployment. */
  file: string;
  /** A worker of a release; `unversioned` leaves the deployment out. */
  startWorker(
    release: Release,
    options?: { unversioned?: boolean; taskQueue?: string },
  ): Promise<RunningWorker>;
  start(runbook: string, workflowId: string): Promise<WorkflowHandle>;
  waiting(handle: WorkflowHandle, kind: Waiting['kind']): Promise<Waiting>;
  cli(...args: string[]): Promise<CliResult>;
  stop(): Promise<void>;
}
export type Release = 'old' | 'new';

const YAML = (address: string, deployment: string) => `
temporal: { address: '${address}' }
worker: { listen: '127.0.0.1:0'${deployment} }
services:
  booking:
    environments:
      production:
        database:
          url: postgresql://127.0.0.1:1/booking
          identity: { systemIdentifier: '0000000000', database: booking }
`;

const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error };
const bundle = (release: Release) =>
  bundleWorkflowCode({ workflowsPath: require.resolve(`./releases/${release}`), logger: quiet });

/** The caller stops it. `dynamicConfig` goes to the server. */
export async function createWorld(dynamicConfig: Record<string, string> = {}): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'versions-'));
  const temporal = await startTemporal({ directory, ephemeral: true, dynamicConfig });
  const file = join(directory, 'runbooks.yaml');
  const plainFile = join(directory, 'unversioned.yaml');
  writeFileSync(file, YAML(temporal.address, ', deploymentName: ops'));
  writeFileSync(plainFile, YAML(temporal.address, ''));
  const config = loadProject(file);
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection });
  const bundles = { old: await bundle('old'), new: await bundle('new') };
  const workers: RunningWorker[] = [];
  const activities = { ...createGuardActivities({ config, client }), ...standIns };
  return {
    client,
    config,
    bundles,
    file,
    startWorker: async (release, { unversioned = false, taskQueue = config.temporal.taskQueue } = {}) => {
      const worker = await startWorker(unversioned ? loadProject(plainFile) : config, {
        workflowBundle: bundles[release],
        activities,
        taskQueue,
        identity: `${release}-${workers.length}`,
      });
      workers.push(worker);
      return worker;
    },
    start: (runbook, workflowId) =>
      client.workflow.start(runbook, {
        workflowId,
        taskQueue: config.temporal.taskQueue,
        args: [{ service: 'booking', startedBy: 'ana' }],
      }),
    waiting: async (handle, kind) => {
      const status = await until(
        () => handle.query<RunStatus>('status'),
        ({ waiting }) => waiting.some((one) => one.kind === kind),
      );
      return status.waiting.find((one) => one.kind === kind) as Waiting;
    },
    cli: (...args) => runCli(['--config', file, ...args]),
    stop: async () => {
      for (const worker of workers) await worker.stop();
      await connection.close();
      await temporal.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const standIns = {
  prepare: async ({ input }: { input: object }) => ({ title: 'Stand-in', input, policy: POLICY }),
  announce: async () => ({ told: [], problems: [] }),
  look: async () => 'seen',
};

/** Which version did each workflow task of a run, in order. */
export async function versionsOf(handle: WorkflowHandle): Promise<(string | undefined)[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: done }) =>
    done ? [done.deploymentVersion?.buildId ?? undefined] : [],
  );
}

/** Asks until it holds; fails with the last answer after a minute. */
export async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const answer = await ask().catch((error: Error) => error);
    if (!(answer instanceof Error) && holds(answer)) return answer;
    if (Date.now() > end) throw new Error(`it never held; last: ${JSON.stringify(answer)} ${String(answer)}`);
  }
}
