import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  proxyActivities,
  proxyLocalActivities,
  TimeoutFailure,
  workflowInfo,
  type ActivityOptions,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';
import { bind, hostFor, hostQueue, isAskedByName, learn } from '../../contract/hosts';
import type { RunState } from './state';

export type StepKind = 'read' | 'mutate' | 'long';

// Undo must never run beside an activity that is still working.
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** A retry of any of them is safe: activities are idempotent, and those that are not fail as non-retryable. */
const presets: Record<StepKind, ActivityOptions> = {
  read: {
    startToCloseTimeout: '1 minute',
    cancellationType,
    retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 s', maximumAttempts: 6 },
  },
  mutate: {
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: '10 s',
    cancellationType,
    retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '15 s', maximumAttempts: 6 },
  },
  long: {
    startToCloseTimeout: '24 hours',
    heartbeatTimeout: '10 s',
    cancellationType,
    retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '30 s', maximumAttempts: 6 },
  },
};

/**
 * Activities whose events carry `summary` in the Temporal UI. One whose input names something that lies on a host's disk
 * goes to that host, and fails as HostLost when no worker of it is there.
 */
export function activitiesFor(kind: StepKind, summary: string, hosts?: Hosts): Activities {
  const options = { ...presets[kind], summary };
  const anywhere = proxyActivities<Activities>(options);
  if (hosts === undefined) return anywhere;
  const { whereabouts } = hosts;
  return new Proxy(anywhere, {
    get: (_, name: string) => (input: unknown) => {
      const host = hostFor(whereabouts, input);
      if (host !== undefined) bind(whereabouts, input, host);
      const called =
        host === undefined
          ? byName(anywhere, name)(input)
          : byName(
              proxyActivities({ ...options, ...onHost(host, input, hosts) }),
              name,
            )(input).catch((error: unknown) => {
              throw hostLost(error, host, name);
            });
      return called.then((result) => {
        learn(whereabouts, result);
        return result;
      });
    },
  });
}

/** What a run knows of the hosts of its workers. */
type Hosts = Pick<RunState, 'whereabouts' | 'policy'>;

type ByName = Record<string, (input: unknown) => Promise<unknown>>;

function byName(activities: unknown, name: string): ByName[string] {
  return (activities as ByName)[name]!;
}

/** Of runs that began before the configuration said it. */
const HOST_LOST_MS = 60_000;

function onHost(host: string, input: unknown, { policy }: Hosts): ActivityOptions {
  const lostMs = policy?.hostLostMs ?? HOST_LOST_MS;
  return {
    taskQueue: hostQueue(workflowInfo().taskQueue, host),
    // Who asks a host for what it has can do without the answer.
    scheduleToStartTimeout: isAskedByName(input) ? lostMs / 4 : lostMs,
  };
}

function hostLost(error: unknown, host: string, name: string): unknown {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (!(cause instanceof TimeoutFailure) || cause.timeoutType !== 'SCHEDULE_TO_START') return error;
  return ApplicationFailure.create({
    type: HOST_LOST,
    message: `no worker of host ${host} was there to do ${name}. What lies on its disk is out of reach until one is`,
    details: [{ host }],
  });
}

const HOST_LOST = 'HostLost';

/** The host that is lost where that is why something failed. */
export function lostHostOf(error: unknown): string | undefined {
  if (!(error instanceof ApplicationFailure) || error.type !== HOST_LOST) return undefined;
  return (error.details?.[0] as { host: string } | undefined)?.host;
}

/** The first step of each run: below a second and read only, so a local activity will do. */
export const { prepare } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '10 s',
  retry: { maximumAttempts: 3 },
});
