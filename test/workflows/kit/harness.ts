import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { LoadedConfig } from '../../../src/config/load';
import type { Announcement, AnnounceResult } from '../../../src/activities/notifications/message';
import { createGuardActivities } from '../../../src/activities/guard/guard-activities';
import type { Alert } from '../../../src/contract/alert';
import type { Policy } from '../../../src/contract/policy';
import type { RunReport, RunStatus, Waiting } from '../../../src/contract/report';
import { quietTemporal } from '../../support/quiet';
import { askFor } from '../../support/shared/ask';
import { standIn } from '../../support/stand-in';
import { createTimeSkippingEnvironment } from '../../support/time-skipping';
import type { World } from './acting';

export type FixtureName = keyof typeof import('./fixtures');

export const POLICY: Policy = {
  service: 'booking',
  mode: 'propose',
  modeReason: 'test',
  fourEyes: false,
  approvers: [],
  approvalExpiresMs: 4 * 3_600_000,
  escalateAfterMs: 15 * 60_000,
  humanWaitMs: 24 * 3_600_000,
  ladder: ['on-call', 'lead'],
  environments: ['production'],
  soakMs: 0,
  soakEveryMs: 10_000,
  objectives: { rtoSeconds: 60 },
  breaker: { windowMs: 3_600_000, maxRecurrences: 3, cooldownMs: 0, flapLimit: 5, maxConcurrent: 3 },
  takesPlace: true,
  places: { alerts: 10, schedules: 10, shards: 1 },
  sickServices: 3,
  workerVersion: 'test',
};

/** Run ID of a run that never was. */
export const NOBODY = '00000000-0000-0000-0000-000000000000';

/** An alert that starts a run. */
export const alertOf = (fingerprint = 'pool'): Alert => ({
  source: 'test',
  fingerprint,
  startsAt: null,
  status: 'firing',
  severity: 'critical',
  title: 'too many connections',
  labels: {},
  annotations: {},
  link: null,
});

/** The world that fixtures act upon, and a log of what they did to it. */
export interface TestWorld {
  log: string[];
  policy: Partial<Policy>;
  startedBy: string;
  acts: Partial<World>;
  announce: (input: Announcement) => Promise<AnnounceResult>;
  /** Answers of guards that are lost on their way. */
  lost: number;
  /** Instead of what the store says. */
  readSwitch?: (input: { targets: string[] }) => Promise<never>;
}

export function createWorld(logTo?: TestWorld): TestWorld {
  const fresh: TestWorld = {
    log: [],
    policy: {},
    startedBy: 'ana',
    acts: {},
    lost: 0,
    announce: async ({ rung, kind }) => {
      (logTo ?? fresh).log.push(kind === 'resolved' ? 'page resolved' : `told ${rung}`);
      return { told: [String(rung)], problems: [] };
    },
  };
  return fresh;
}

export interface Kit {
  world: TestWorld;
  start(name: FixtureName, workflowId?: string, input?: Record<string, unknown>): Promise<WorkflowHandle>;
  run(
    name: FixtureName,
  ): Promise<{ report?: RunReport; failure?: ApplicationFailure; error?: unknown; handle: WorkflowHandle }>;
  finish(
    handle: WorkflowHandle,
  ): Promise<{ report?: RunReport; failure?: ApplicationFailure; error?: unknown; handle: WorkflowHandle }>;
  waiting(handle: WorkflowHandle, kind?: Waiting['kind']): Promise<Waiting>;
  until(handle: WorkflowHandle, holds: (status: RunStatus) => boolean): Promise<RunStatus>;
  /** The report of a run that ended. Not result(): that moves the clock past every window. */
  settled(handle: WorkflowHandle): Promise<RunStatus>;
}

/** The file's task queue. */
export const taskQueue = `kit-${process.pid}`;
const world = createWorld();
let shared: { kit: Kit; worker: Worker; stopped: Promise<void> } | undefined;

/** Runs `body` with the file's one worker (guards outlive a test, and need it) and a fresh world. */
export async function withKit(
  env: TestWorkflowEnvironment,
  body: (kit: Kit) => Promise<void>,
): Promise<void> {
  shared ??= await startKit(env);
  const fresh = createWorld(world);
  delete world.readSwitch;
  Object.assign(world, fresh);
  await body(shared.kit);
}

/** Stops the file's worker. Call it before the environment goes. */
export async function stopKit(): Promise<void> {
  shared?.worker.shutdown();
  await shared?.stopped;
  shared = undefined;
}

/** The environment of a file, and the end of its worker. The clock can be moved unless another one is given. */
export function useEnvironment(
  create: () => Promise<TestWorkflowEnvironment> = createTimeSkippingEnvironment,
): TestWorkflowEnvironment {
  quietTemporal();
  let env: TestWorkflowEnvironment | undefined;
  beforeAll(async () => {
    env = await create();
  });
  afterAll(async () => {
    await stopKit();
    await env?.teardown();
  });
  return standIn(() => env!);
}

async function startKit(env: TestWorkflowEnvironment) {
  const config = { temporal: { taskQueue } } as unknown as LoadedConfig;
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue,
    workflowBundle: { codePath: await askFor('bundle', require.resolve('./fixtures')) },
    activities: {
      ...fakeActivities(world),
      ...guardActivities(createGuardActivities({ config, client: env.client })),
    },
  });
  return { kit: createKit(env, world, taskQueue), worker, stopped: worker.run() };
}

/** The real ones, but for what a test puts in their place. */
function guardActivities(real: ReturnType<typeof createGuardActivities>) {
  return {
    ...real,
    readSwitch: (input: { targets: string[] }) => (world.readSwitch ?? real.readSwitch)(input),
    seekAdmission: async (input: Parameters<typeof real.seekAdmission>[0]) => {
      const answer = await real.seekAdmission(input);
      if (world.lost === 0) return answer;
      world.lost -= 1;
      throw new Error('the answer was lost');
    },
  };
}

function fakeActivities(world: TestWorld) {
  return {
    prepare: async ({ input }: { input: { service: string } }) => ({
      title: 'Fixture',
      input: { startedBy: world.startedBy, ...input },
      policy: { ...POLICY, ...world.policy },
    }),
    announce: (input: Announcement) => world.announce(input),
    look: async () => world.acts.look?.() ?? { value: 1 },
    change: async (input: { what: string }) => {
      world.log.push(`change ${input.what}`);
      return world.acts.change?.(input) ?? 'changed';
    },
    changeBack: async (input: { what: string }) => {
      world.log.push(`change back ${input.what}`);
      return world.acts.changeBack?.(input) ?? 'changed back';
    },
    check: async (input: { what: string }) => world.acts.check?.(input) ?? { ok: true, detail: 'fine' },
  };
}

function createKit(env: TestWorkflowEnvironment, world: TestWorld, taskQueue: string): Kit {
  let started = 0;
  const start: Kit['start'] = (name, workflowId = `${name}-${(started += 1)}`, input = {}) =>
    env.client.workflow.start(name, {
      taskQueue,
      workflowId,
      args: [{ service: 'booking', ...input }],
      // The time-skipping server would otherwise move its clock by ten years.
      workflowRunTimeout: '30 days',
    });
  const finish = async (handle: WorkflowHandle) => {
    try {
      return { report: (await handle.result()) as RunReport, handle };
    } catch (error) {
      const cause = (error as Error).cause;
      return {
        handle,
        error,
        ...(cause instanceof ApplicationFailure
          ? { failure: cause, report: cause.details?.[0] as RunReport }
          : {}),
      };
    }
  };
  const until: Kit['until'] = async (handle, holds) => {
    for (let tries = 0; tries < 2_400; tries += 1) {
      const status = await handle.query<RunStatus>('status');
      if (holds(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`never got there: ${JSON.stringify(await handle.query('status'))}`);
  };
  const waiting: Kit['waiting'] = async (handle, kind = 'approval') => {
    const status = await until(handle, ({ waiting: open }) => open.some((one) => one.kind === kind));
    return status.waiting.find((one) => one.kind === kind) as Waiting;
  };
  const settled: Kit['settled'] = (handle) => until(handle, ({ endedAt }) => endedAt !== undefined);
  return { world, start, finish, until, settled, waiting, run: async (name) => finish(await start(name)) };
}
