import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { Deployment } from '../../../../src/activities/deployments/deployment-list';
import type { Measured } from '../../../../src/activities/observe/measure';
import { createGuardActivities } from '../../../../src/activities/guard/guard-activities';
import type { LoadedConfig } from '../../../../src/config/load';
import type { RunReport, RunStatus, Waiting } from '../../../../src/contract/report';
import { askFor } from '../../../support/shared/ask';
import { POLICY } from '../../kit/harness';

/** A platform with its deployments, and an application whose errors follow what is in front. */
export interface DeploymentWorld {
  all: Deployment[];
  /** Of the version that is in front. */
  rate: (front: Deployment | undefined) => number;
  measured: Measured[];
  smoke: (url: string | undefined) => void;
  /** What the tool does beside what it is told; may throw. */
  deploys: (made: Deployment) => void;
  promotes: (id: string) => void;
  staging: string | null;
  retires: boolean;
  checks: { name: string; ok: boolean; detail: string }[];
  missing: string[];
  commits: { count: number | null; titles: string[]; forward: boolean | null };
  migrations: { count: number | null; names: string[]; problem?: string };
  log: string[];
}

export const COMMITS = { a: 'a'.repeat(40), b: 'b'.repeat(40) };
export const made = (id: string, day: number, more: Partial<Deployment> = {}): Deployment => ({
  ...{ id, createdAt: `2026-01-0${day}T00:00:00.000Z`, state: 'ready', current: false },
  ...more,
});
const OLD = made('old', 1, { current: true, version: '1.0.0', commit: COMMITS.a, url: 'http://old' });
export const NEW = made('new', 2, { version: '2.0.0', commit: COMMITS.b, url: 'http://new' });

const fresh = (): DeploymentWorld => ({
  all: [OLD],
  rate: () => 0,
  measured: [],
  smoke: () => undefined,
  deploys: () => undefined,
  promotes: () => undefined,
  staging: null,
  retires: true,
  checks: [],
  missing: [],
  commits: { count: 1, titles: ['b'], forward: true },
  migrations: { count: 0, names: [] },
  log: [],
});

export const putInFront = (one: DeploymentWorld, id: string | null) => {
  one.all = one.all.map((each) => ({ ...each, current: each.id === id }));
};
export const front = ({ all }: DeploymentWorld) => all.find(({ current }) => current)?.id;
export const detailOf = ({ timeline }: RunReport, title: string) =>
  timeline.find((entry) => entry.title === title)?.detail;
export const refuse = (message: string): never => {
  throw ApplicationFailure.nonRetryable(message, 'CommandFailed');
};

export interface DeploymentKit {
  world: DeploymentWorld;
  start(runbook: string, input?: Record<string, unknown>): Promise<WorkflowHandle>;
  finish(handle: WorkflowHandle): Promise<RunReport>;
  deploy(): Promise<RunReport>;
  rollBack(input?: Record<string, unknown>): Promise<RunReport>;
  waiting(handle: WorkflowHandle): Promise<Waiting>;
}

let world = fresh();
const taskQueue = `deployments-${process.pid}`;
let shared: { worker: Worker; stopped: Promise<void> } | undefined;
let names = 0;

export async function withDeployments(
  env: TestWorkflowEnvironment,
  body: (kit: DeploymentKit) => Promise<void>,
): Promise<void> {
  shared ??= await startWorker(env);
  world = fresh();
  await body(createKit(env));
}

export async function stopDeployments(): Promise<void> {
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
  const symptoms = () => {
    const rate = world.rate(world.all.find(({ current }) => current));
    return {
      ...{ ok: rate === 0, rate, rateKnown: true, band: rate === 0 ? 'objective' : 'critical', checks: 1 },
      ...{ windowMs: 1_000, failing: [], detail: `error rate ${rate * 100} %` },
    };
  };
  const there = (): Deployment => world.all.find(({ id }) => id === NEW.id) ?? NEW;
  return {
    prepare: async ({ input }: { input: Record<string, unknown> }) => ({
      title: 'Deployments',
      input: { startedBy: 'ana', ...input },
      policy: { ...POLICY, mode: 'auto', takesPlace: false },
    }),
    announce: async () => ({ told: ['chat'], problems: [] }),
    readReleaseSettings: async () => ({
      ...{ staging: world.staging, retires: world.retires, windowMs: 60_000 },
    }),
    listDeployments: async () => world.all,
    checkRelease: async () => ({ checks: world.checks, missing: world.missing }),
    readCommits: async () => world.commits,
    listPendingMigrations: async () => world.migrations,
    readSymptoms: async () => symptoms(),
    measure: async () => world.measured,
    listChecks: async () => ({ health: 1, errorRate: true, smoke: true }),
    checkHealth: async () => [],
    runServiceCommand: async ({ url, environment }: { url?: string; environment: string }) => {
      world.log.push(`smoke ${url ?? environment}`);
      world.smoke(url);
      return { ran: true, detail: 'fine' };
    },
    deployToStaging: async () => {
      world.log.push('staging');
      return { deployment: NEW, alreadyThere: false };
    },
    deployBeside: async () => {
      world.log.push('deploy');
      if (!world.all.some(({ id }) => id === NEW.id)) world.all = [NEW, ...world.all];
      world.deploys(there());
      return { deployment: there(), alreadyThere: false };
    },
    promoteDeployment: async ({ deployment, from }: { deployment: string; from: string | null }) => {
      world.log.push(`promote ${deployment} from ${from}`);
      world.promotes(deployment);
      putInFront(world, deployment);
      return { detail: 'done' };
    },
    retireDeployment: async ({ deployment }: { deployment: string }) => {
      world.log.push(`retire ${deployment}`);
      return { detail: 'gone' };
    },
  };
}

function createKit(env: TestWorkflowEnvironment): DeploymentKit {
  const start: DeploymentKit['start'] = (runbook, input = {}) =>
    env.client.workflow.start(runbook, {
      ...{ taskQueue, workflowId: `${runbook}/booking/${(names += 1)}` },
      args: [{ service: 'booking', ...input }],
      // The time-skipping server would otherwise move its clock by ten years.
      workflowRunTimeout: '2 days',
    });
  const finish: DeploymentKit['finish'] = async (handle) => {
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
    deploy: async () => finish(await start('deployApplication', { version: '2.0.0', commit: COMMITS.b })),
    rollBack: async (input) => finish(await start('rollBackDeployment', input)),
    waiting: async (handle) => {
      for (let tries = 0; tries < 2_400; tries += 1) {
        const { waiting, outcome, summary } = await handle.query<RunStatus>('status');
        if (waiting[0] !== undefined) return waiting[0];
        if (outcome !== undefined) throw new Error(`it asked nobody: ${outcome} ${summary}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error('it asked nobody');
    },
  };
}
