import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { ErrorLog } from '../../../../src/activities/observe/logs';
import type { Deployment } from '../../../../src/activities/deployments/deployment-list';
import { createGuardActivities } from '../../../../src/activities/guard/guard-activities';
import type {
  IncidentPolicy,
  MatchingRunbook,
} from '../../../../src/activities/incidents/incident-activities';
import type { LoadedConfig } from '../../../../src/config/load';
import { incidentSchema } from '../../../../src/activities/incidents/settings';
import type { IncidentRecord } from '../../../../src/contract/incident';
import type { RunReport, RunStatus, TimelineEntry } from '../../../../src/contract/report';
import type { Policy } from '../../../../src/contract/policy';
import { POLICY } from '../../kit/harness';
import type { Measurement } from '../../../../src/activities/application/measure';
import { askFor } from '../../../support/shared/ask';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const scale = incidentSchema.parse({});
const inMs = ({ P0, P1, P2, P3 }: Record<'P0' | 'P1' | 'P2' | 'P3', number>) => ({
  P0: P0 * MINUTE,
  P1: P1 * MINUTE,
  P2: P2 * MINUTE,
  P3: P3 * MINUTE,
});

/** The defaults of the configuration. */
export const INCIDENT_POLICY: IncidentPolicy = {
  severities: scale.severities,
  defaultSeverity: scale.defaultSeverity,
  commanders: [],
  acknowledgeMs: inMs(scale.acknowledgeMinutes),
  updateMs: inMs(scale.updateMinutes),
  escalateMs: inMs(scale.escalateMinutes),
  errorRate: { max: 0.01, warning: 0.05, critical: 0.1 },
  errorRateSeverity: scale.errorRateSeverity,
  healthSeverity: scale.healthSeverity,
  postmortemFor: scale.postmortemFor,
  meetingMs: scale.meetingWithinHours * HOUR,
  reminderMs: scale.reminderHours * HOUR,
  standardActions: scale.standardActions,
  actionDueMs: scale.actionDueDays * DAY,
  suspectMs: null,
};

export const WELL: Measurement = {
  ok: true,
  health: [{ name: 'ready', ok: true, detail: 'answered 200' }],
  errorRate: 0.001,
  detail: 'health 1 of 1 well',
};
export const ILL: Measurement = {
  ok: false,
  health: [
    { name: 'alive', ok: true, detail: 'answered 200' },
    { name: 'ready', ok: false, detail: 'answered 503' },
  ],
  errorRate: 0.02,
  detail: 'health 1 of 2 fail (ready: answered 503)',
};

interface Sent {
  kind?: string;
  rung: string | null;
  text: string;
}

/** The world of an incident, and what was said in it. */
export interface IncidentWorld {
  policy: Partial<Policy>;
  incident: Partial<IncidentPolicy>;
  measured: Measurement;
  match: MatchingRunbook | null;
  mend: () => Promise<string>;
  checks: () => Promise<{ name: string; ok: boolean; detail: string }[]>;
  deployments: Deployment[];
  log: () => Promise<ErrorLog | null>;
  sent: Sent[];
  /** Channels that take a message; default: those that were asked. */
  told?: (() => string[]) | undefined;
}

const fresh = (): IncidentWorld => ({
  policy: { mode: 'auto', ladder: ['on-call', 'lead', 'vp'], takesPlace: false },
  incident: {},
  measured: ILL,
  match: null,
  mend: async () => 'it',
  checks: async () => [],
  deployments: [],
  log: async () => null,
  sent: [],
  told: undefined,
});

export interface IncidentKit {
  world: IncidentWorld;
  start(input?: Record<string, unknown>): Promise<WorkflowHandle>;
  /** The answer of an Update, or why it was refused. */
  say(handle: WorkflowHandle, name: string, words: unknown): Promise<string>;
  status(handle: WorkflowHandle): Promise<RunStatus & { incident: IncidentRecord }>;
  until(
    handle: WorkflowHandle,
    holds: (status: RunStatus & { incident: IncidentRecord }) => boolean,
  ): Promise<RunStatus & { incident: IncidentRecord }>;
  /** Waits until the incident is led. */
  open(input?: Record<string, unknown>): Promise<WorkflowHandle>;
  finish(handle: WorkflowHandle): Promise<{ report?: RunReport; error?: unknown }>;
  sleep(ms: number): Promise<void>;
  /**
   * Cancels a run and waits for its end. Not while an activity waits to start, and no termination: this server would
   * never finish the one, and after the other its clock stands still.
   */
  end(handle: WorkflowHandle): Promise<void>;
}

const world = fresh();
const taskQueue = `incidents-${process.pid}`;
let shared: { worker: Worker; stopped: Promise<void> } | undefined;
let names = 0;

/** Runs `body` with the file's one worker and a fresh world. */
export async function withIncidents(
  env: TestWorkflowEnvironment,
  body: (kit: IncidentKit) => Promise<void>,
): Promise<void> {
  shared ??= await startWorker(env);
  Object.assign(world, fresh());
  await body(createKit(env));
}

export async function stopIncidents(): Promise<void> {
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
      title: 'Respond to an incident',
      input: { environment: 'production', runbook: true, postmortem: false, startedBy: 'ana', ...input },
      policy: { ...POLICY, ...world.policy },
    }),
    announce: async ({ kind, rung, text, channels }: Sent & { channels?: string[] }) => {
      world.sent.push({ kind, rung, text });
      return { told: world.told?.() ?? channels ?? [String(rung)], problems: [] };
    },
    readIncidentPolicy: async () => ({ ...INCIDENT_POLICY, ...world.incident }),
    measureService: async () => world.measured,
    readIncidentChecks: async () => world.checks(),
    findMatchingRunbook: async () => world.match,
    listDeployments: async () => world.deployments,
    readErrorLog: async () => world.log(),
    mendIt: async () => world.mend(),
  };
}

function createKit(env: TestWorkflowEnvironment): IncidentKit {
  const start: IncidentKit['start'] = (input = {}) =>
    env.client.workflow.start('respondToIncident', {
      taskQueue,
      workflowId: `respondToIncident/booking/${(names += 1)}`,
      args: [{ service: 'booking', title: 'Checkout fails', ...input }],
      // The time-skipping server would otherwise move its clock by ten years.
      workflowRunTimeout: '120 days',
    });
  const status: IncidentKit['status'] = (handle) => handle.query('status');
  const until: IncidentKit['until'] = async (handle, holds) => {
    for (let tries = 0; tries < 4_800; tries += 1) {
      const now = await status(handle);
      if (holds(now)) return now;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`never got there: ${JSON.stringify(await status(handle), null, 1)}`);
  };
  return {
    world,
    start,
    status,
    until,
    open: async (input) => {
      const handle = await start(input);
      // The first update, and what triage came to.
      await until(
        handle,
        ({ incident, timeline }) =>
          incident.updates > 0 &&
          timeline.some(({ title, status: was }) => title === 'Find the matching runbook' && was === 'done'),
      );
      return handle;
    },
    say: async (handle, name, words) => {
      try {
        return await handle.executeUpdate<string, [unknown]>(name, { args: [words] });
      } catch (error) {
        const { cause, message } = error as Error & { cause?: Error };
        return `REFUSED ${cause?.message ?? message}`;
      }
    },
    finish: async (handle) => {
      try {
        return { report: (await handle.result()) as RunReport };
      } catch (error) {
        const { cause } = error as { cause?: Error };
        const [report] = cause instanceof ApplicationFailure ? (cause.details ?? []) : [];
        return { error, ...(report === undefined ? {} : { report: report as RunReport }) };
      }
    },
    sleep: (ms) => env.sleep(ms),
    end: async (handle) => {
      const pause = () => new Promise((resolve) => setTimeout(resolve, 25));
      while (!isIdle((await handle.fetchHistory()).events ?? [])) await pause();
      await handle.cancel();
      while ((await handle.describe()).status.name === 'RUNNING') await pause();
    },
  };
}

/** Nothing is going on: no activity, and no task of the workflow that could begin one. */
function isIdle(events: temporal.api.history.v1.IHistoryEvent[]): boolean {
  const begun = events.filter((event) => event.activityTaskScheduledEventAttributes).length;
  const ended = events.filter(
    (event) =>
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes,
  ).length;
  const last = events.findLast(
    (event) =>
      event.workflowTaskScheduledEventAttributes ??
      event.workflowTaskStartedEventAttributes ??
      event.workflowTaskCompletedEventAttributes ??
      event.activityTaskCompletedEventAttributes,
  );
  return begun === ended && last?.workflowTaskCompletedEventAttributes != null;
}

/** Whole minutes after the opening at which lines of that title began. */
export function minutesOf(
  { timeline, incident }: { timeline: TimelineEntry[]; incident?: IncidentRecord },
  title: string | RegExp,
): number[] {
  const matches = (one: string) => (typeof title === 'string' ? one.startsWith(title) : title.test(one));
  return timeline
    .filter((entry) => matches(entry.title))
    .map(({ startedAt }) =>
      Math.round((Date.parse(startedAt) - Date.parse(incident?.openedAt ?? '')) / MINUTE),
    );
}
