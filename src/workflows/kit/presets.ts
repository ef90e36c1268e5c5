import {
  ActivityCancellationType,
  proxyActivities,
  proxyLocalActivities,
  type ActivityOptions,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';
import { routed, type Hosts } from './hosts';
import { quickly } from './quick';

export type StepKind = 'quick' | 'read' | 'mutate' | 'long';

// Undo must never run beside an activity that is still working.
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

const MINUTE_MS = 60_000;

/** The worker beats every second for each activity: after that long without, it is lost, and the next attempt begins. */
const HEARTBEAT_TIMEOUT = '5 s';

type Preset = Omit<ActivityOptions, 'startToCloseTimeout'> & { startToCloseTimeout: number };

/** A retry of any of them is safe: activities are idempotent, and those that are not fail as non-retryable. */
const presets: Record<Exclude<StepKind, 'quick'>, Preset> = {
  read: {
    startToCloseTimeout: MINUTE_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType,
    retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 s', maximumAttempts: 6 },
  },
  mutate: {
    startToCloseTimeout: 120 * MINUTE_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType,
    retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '15 s', maximumAttempts: 6 },
  },
  long: {
    startToCloseTimeout: 24 * 60 * MINUTE_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType,
    retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '30 s', maximumAttempts: 6 },
  },
};

/**
 * Activities whose events carry `summary` in the Temporal UI. Given what is known of the `hosts`, one whose input names
 * something that lies on a host's disk goes there. What the configuration permits a step to take is added to its time:
 * a worker that is lost shows in the heartbeats, long before.
 */
export function activitiesFor(kind: StepKind, summary: string, hosts?: Hosts, permittedMs = 0): Activities {
  if (kind === 'quick') return quickly(summary, activitiesFor('read', summary, hosts));
  const { startToCloseTimeout, ...preset } = presets[kind];
  const moreMs = kind === 'read' ? 0 : Math.max(permittedMs, hosts?.policy?.permittedMs ?? 0);
  const options = {
    ...preset,
    startToCloseTimeout: startToCloseTimeout + moreMs,
    summary,
  };
  return hosts === undefined ? proxyActivities<Activities>(options) : routed(options, hosts);
}

/** The first step of each run: below a second and read only, so a local activity will do. */
export const { prepare } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '10 s',
  retry: { maximumAttempts: 3 },
});
