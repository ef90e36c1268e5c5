import type { Client, ScheduleDescription } from '@temporalio/client';
import type { ScheduleConfig } from '../config/schedule-schema';
import type { Config } from '../config/schema';
import type { RunReport } from '../contract/report';
import { inTurns } from '../host/in-turns';
import { isManaged } from './desired';
import { AT_ONCE, describeSchedule } from './diff';
import { jitterMs, timesOf } from './input';
import { nextStarts } from './times';

/** A configured schedule and what came of it. Times are ISO texts in UTC. */
export interface ScheduleState {
  id: string;
  runbook: string;
  service: string;
  timeZone: string;
  /** False where the server has none of that ID, or one that was not made from this configuration. */
  applied: boolean;
  paused: boolean;
  /** Who paused it and why, in the words of whoever did. */
  pausedWhy?: string;
  /** Absent while paused, not applied, or when nothing comes any more. */
  nextAt?: string;
  /** The next few, `nextAt` first. */
  upcoming: string[];
  /** Absent when it never started, or not since it was made. */
  lastStartedAt?: string;
  /** Outcome of the newest run, RUNNING while it runs; `unknown` when the server no longer has it. */
  lastOutcome?: string;
  /** The newest runs, newest first. */
  recent: ScheduledRun[];
  /** Seconds since a start should have been there; 0 while all is well, or when it is paused as configured. */
  overdueSeconds: number;
  /** Starts left out because the one before still ran, since it was made. */
  skippedStarts: number;
  /** Starts left out because the server was away for longer than the catch-up window, since it was made. */
  missedStarts: number;
}

/** A run that a schedule started. */
export interface ScheduledRun {
  workflowId: string;
  startedAt: string;
  outcome: string;
}

const UPCOMING = 3;

/** Every configured schedule as the server has it, with the outcomes of its `runs` newest runs. Reads only. */
export async function readSchedules(
  client: Client,
  config: Config,
  { runs = 1 } = {},
): Promise<ScheduleState[]> {
  return inTurns(Object.entries(config.schedules), AT_ONCE, async ([id, schedule]) => {
    const found = await describeSchedule(client, id);
    return isManaged(found?.memo, config.temporal.taskQueue)
      ? stateOf(client, id, schedule, found as ScheduleDescription, runs)
      : nothing(id, schedule);
  });
}

function nothing(id: string, { runbook, input, timeZone }: ScheduleConfig): ScheduleState {
  return {
    ...{ id, runbook, service: String(input['service']), timeZone, applied: false, paused: false },
    ...{ upcoming: [], recent: [], overdueSeconds: 0, skippedStarts: 0, missedStarts: 0 },
  };
}

async function stateOf(
  client: Client,
  id: string,
  schedule: ScheduleConfig,
  { state: { paused, note }, info }: ScheduleDescription,
  runs: number,
): Promise<ScheduleState> {
  const recent = await readRuns(client, info.recentActions.slice(-runs).reverse());
  const lastStarted = info.recentActions.at(-1)?.takenAt;
  const upcoming = paused ? [] : info.nextActionTimes.slice(0, UPCOMING).map((at) => at.toISOString());
  const asConfigured = paused && schedule.paused;
  return {
    ...nothing(id, schedule),
    applied: true,
    paused,
    ...(paused ? { pausedWhy: note ?? '' } : {}),
    ...(upcoming[0] === undefined ? {} : { nextAt: upcoming[0] }),
    upcoming,
    ...(lastStarted === undefined ? {} : { lastStartedAt: lastStarted.toISOString() }),
    ...(recent[0] === undefined ? {} : { lastOutcome: recent[0].outcome }),
    recent,
    overdueSeconds: asConfigured ? 0 : overdueSeconds(schedule, { ...info, lastStarted }, new Date()),
    skippedStarts: info.numActionsSkippedOverlap,
    missedStarts: info.numActionsMissedCatchupWindow,
  };
}

function readRuns(
  client: Client,
  actions: ScheduleDescription['info']['recentActions'],
): Promise<ScheduledRun[]> {
  return Promise.all(
    actions.map(async ({ takenAt, action }) => {
      const { workflowId, firstExecutionRunId } = action.workflow;
      const outcome = await readOutcome(client, workflowId, firstExecutionRunId);
      return { workflowId, startedAt: takenAt.toISOString(), outcome };
    }),
  );
}

async function readOutcome(client: Client, workflowId: string, runId: string): Promise<string> {
  try {
    const { status, memo } = await client.workflow.getHandle(workflowId, runId).describe();
    return (memo?.['report'] as RunReport | undefined)?.outcome ?? status.name;
  } catch (error) {
    // Older than the server's retention.
    if ((error as Error).name === 'WorkflowNotFoundError') return 'unknown';
    throw error;
  }
}

/**
 * How late it is. Without `maxAgeHours` one start may fail to come: it is late from the second on that should have come
 * since the last one, by the calendar, so that nights and weekends do not count.
 */
export function overdueSeconds(
  schedule: ScheduleConfig,
  started: { lastStarted: Date | undefined; createdAt: Date; lastUpdatedAt?: Date },
  now: Date,
): number {
  const { lastStarted, createdAt, lastUpdatedAt } = started;
  const since = lastStarted ?? createdAt;
  const graceMs = jitterMs(schedule);
  let expected: number | undefined;
  if (schedule.maxAgeHours !== undefined) expected = since.getTime() + schedule.maxAgeHours * 3_600_000;
  else {
    // Other times count from when they were applied.
    const from = new Date(Math.max(since.getTime(), lastUpdatedAt?.getTime() ?? 0));
    expected = nextStarts(timesOf(schedule), from, 2).at(1)?.getTime();
  }
  if (expected === undefined) return 0;
  return Math.max(0, Math.floor((now.getTime() - expected - graceMs) / 1_000));
}
