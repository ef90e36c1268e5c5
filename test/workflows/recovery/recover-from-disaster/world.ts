import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { Deployment } from '../../../../src/activities/deployments/deployment-list';
import type { ExternalService } from '../../../../src/activities/application/external-services';
import { createGuardActivities } from '../../../../src/activities/guard/guard-activities';
import type { LoadedConfig } from '../../../../src/config/load';
import type { Policy } from '../../../../src/contract/policy';
import type { RunReport, RunStatus, Waiting } from '../../../../src/contract/report';
import { askFor } from '../../../support/shared/ask';
import { POLICY } from '../../kit/harness';

/** A runbook that the recovery starts, and how that ends. */
export interface Part {
  runbook: string;
  input: Record<string, unknown>;
}
export interface PartEnd {
  outcome: string;
  summary: string;
  instead?: string;
}

/** A service of which each part may be gone, and what was done about it. */
export interface DisasterWorld {
  policy: Partial<Policy>;
  /** Of the database; throws where its server does not answer. */
  live: () => Record<string, unknown>;
  /** Throws where nobody can list them. */
  backups: () => Record<string, unknown>[];
  /** Throws where nobody can be asked. */
  symptoms: () => Record<string, unknown>;
  deployments: Deployment[];
  variables: () => { configured: boolean; required: number; missing: string[] };
  others: ExternalService[];
  invariants: { name: string; ok: boolean; violations: number; sample: string }[];
  /** Where they were looked at. */
  invariantsOf: unknown[];
  smoke: () => { ran: boolean; detail: string };
  webhooks: () => { failed: number; waiting: number };
  /** Channels that take a message. */
  channels: string[];
  play: (part: Part) => PartEnd;
  /** What was started, and what was told to all. */
  parts: Part[];
  told: string[];
}

export const LIVE = {
  ...{ condition: 'there', registered: true, systemIdentifier: '7', database: 'booking_production' },
  ...{ tables: 9, rows: 100, unreadableTables: 0, unseenTables: 0, sessions: 3, readOnlySetting: null },
};
export const GONE = { ...LIVE, condition: 'missing', tables: 0, rows: 0 };
export const WELL = {
  ok: true,
  rate: 0,
  checks: 1,
  failing: [],
  windowMs: 1_000,
  detail: 'error rate 0.00 %',
};
export const ILL = { ...WELL, ok: false, rate: 0.9, detail: 'error rate 90.00 %' };
export const backup = (backupId: string, day: number, provenAt: string | null = null) => ({
  ...{ backupId, snapshotAt: `2026-01-0${day}T00:00:00.000Z`, provenAt, rows: 100, complete: true },
  ...{ purpose: 'scheduled', where: ['disk', 'offsite'], service: 'booking', environment: 'production' },
});
export const deployment = (id: string, day: number, current = false): Deployment => ({
  ...{ id, createdAt: `2026-01-0${day}T00:00:00.000Z`, state: 'ready', current, version: `1.${day}` },
});
export const failing =
  (message: string, type = 'CommandFailed') =>
  (): never => {
    throw ApplicationFailure.nonRetryable(message, type);
  };
export const unreachable = failing('Could not connect on booking/production: refused', 'DatabaseUnreachable');

/** Each by its name and what tells it from others. */
export const partsOf = ({ parts }: DisasterWorld) =>
  parts.map(({ runbook, input }) => [
    runbook,
    input['recoveryPoint'] ?? input['deployment'] ?? input['severity'],
  ]);

const fresh = (): DisasterWorld => ({
  policy: { mode: 'auto', takesPlace: false, objectives: { rtoSeconds: 900 } },
  live: () => LIVE,
  backups: () => [backup('b2', 2), backup('b1', 1, '2026-01-01T01:00:00.000Z')],
  symptoms: () => WELL,
  deployments: [deployment('dep-2', 2, true), deployment('dep-1', 1)],
  variables: () => ({ configured: true, required: 1, missing: [] }),
  others: [],
  invariants: [],
  invariantsOf: [],
  smoke: () => ({ ran: true, detail: 'fine' }),
  webhooks: () => ({ failed: 0, waiting: 0 }),
  channels: ['chat'],
  play: () => ({ outcome: 'SUCCEEDED', summary: 'done' }),
  parts: [],
  told: [],
});

export interface DisasterKit {
  world: DisasterWorld;
  start(input?: Record<string, unknown>, workflowId?: string): Promise<WorkflowHandle>;
  run(input?: Record<string, unknown>): Promise<RunReport>;
  finish(handle: WorkflowHandle): Promise<RunReport>;
  task(handle: WorkflowHandle, not?: string): Promise<Waiting>;
  done(handle: WorkflowHandle, task: string): Promise<unknown>;
}

const world = fresh();
const taskQueue = `disaster-${process.pid}`;
let shared: { worker: Worker; stopped: Promise<void> } | undefined;
let names = 0;

export async function withDisaster(
  env: TestWorkflowEnvironment,
  body: (kit: DisasterKit) => Promise<void>,
): Promise<void> {
  shared ??= await startWorker(env);
  Object.assign(world, fresh());
  await body(createKit(env));
}

export async function stopDisasters(): Promise<void> {
  shared?.worker.shutdown();
  await shared?.stopped;
  shared = undefined;
}

async function startWorker(env: TestWorkflowEnvironment) {
  const config = { temporal: { taskQueue } } as unknown as LoadedConfig;
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue,
    workflowBundle: { codePath: await askFor('bundle', require.resolve('./fixtures')) },
    activities: { ...fakeActivities(), ...createGuardActivities({ config, client: env.client }) },
  });
  return { worker, stopped: worker.run() };
}

function fakeActivities() {
  return {
    prepare: async ({ input }: { input: Record<string, unknown> }) => ({
      title: 'Recover from a disaster',
      input: { environment: 'production', startedBy: 'ana', ...input },
      policy: { ...POLICY, ...world.policy },
    }),
    announce: async ({ text, kind }: { text: string; kind: string }) => {
      if (kind === 'status') world.told.push(text);
      return { told: world.channels, problems: [] };
    },
    inspectLive: async () => world.live(),
    listHosts: async () => [],
    listBackups: async () => world.backups(),
    readSymptoms: async () => world.symptoms(),
    listDeployments: async () => world.deployments,
    checkExternalServices: async () => world.others,
    readVariables: async () => world.variables(),
    listChecks: async () => ({ health: 1, errorRate: true, smoke: true }),
    runServiceCommand: async () => world.smoke(),
    checkInvariants: async ({ database }: { database: unknown }) => {
      world.invariantsOf.push(database);
      return world.invariants;
    },
    readWebhooks: async () => world.webhooks(),
    play: async (part: Part) => {
      world.parts.push(part);
      return world.play(part);
    },
  };
}

function createKit(env: TestWorkflowEnvironment): DisasterKit {
  const start: DisasterKit['start'] = (
    input = {},
    workflowId = `recoverFromDisaster/booking/${(names += 1)}`,
  ) =>
    env.client.workflow.start('recoverFromDisaster', {
      ...{ taskQueue, workflowId, args: [{ service: 'booking', ...input }] },
      // The time-skipping server would otherwise move its clock by ten years.
      workflowRunTimeout: '30 days',
    });
  const finish: DisasterKit['finish'] = async (handle) => {
    try {
      return (await handle.result()) as RunReport;
    } catch (error) {
      const { cause } = error as { cause?: Error };
      if (cause instanceof ApplicationFailure) return cause.details?.[0] as RunReport;
      throw error;
    }
  };
  return {
    world,
    start,
    finish,
    run: async (input) => finish(await start(input)),
    task: async (handle, not) => {
      for (let tries = 0; tries < 2_400; tries += 1) {
        const { waiting, outcome, summary } = await handle.query<RunStatus>('status');
        const open = waiting.find(({ kind, id }) => kind === 'task' && id !== not);
        if (open !== undefined) return open;
        if (outcome !== undefined) throw new Error(`it asked nobody: ${outcome} ${summary}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`no task: ${JSON.stringify(await handle.query('status'))}`);
    },
    done: (handle, task) => handle.executeUpdate('done', { args: [{ task, by: 'ben' }] }),
  };
}
