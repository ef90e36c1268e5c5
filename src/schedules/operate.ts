/** What people do to a schedule between two starts. Only to those that were made from this configuration. */
import { ScheduleOverlapPolicy, type Client, type ScheduleDescription } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/schema';
import { utc } from '../contract/text';
import { isManaged } from './desired';
import { describeSchedule } from './diff';

/** Thrown when a schedule is not there, is not ours, or must not do that. */
export class ScheduleRefused extends Error {
  constructor(
    message: string,
    readonly kind: 'notFound' | 'refused' = 'refused',
  ) {
    super(message);
    this.name = 'ScheduleRefused';
  }
}

export interface Order {
  reason: string;
  by: string;
}

const DAY_MS = 86_400_000;

/** What one backfill may do without having been confirmed. */
export const BACKFILL = { maxStarts: 50, maxDays: 31 } as const;
/** What it may do at all: the server keeps a thousand waiting starts and drops the rest. */
const BACKFILL_AT_ALL = 500;
/** So many times the server lists at most. */
const LISTED = 1_000;

const TRIGGER_WAIT_MS = 10_000;

/** The schedule of that ID, made from this configuration. Throws ScheduleRefused. */
export async function managedSchedule(
  client: Client,
  config: Config,
  id: string,
): Promise<ScheduleDescription> {
  const found = await describeSchedule(client, id);
  if (found === undefined) {
    const known = Object.keys(config.schedules);
    const hint = known.includes(id)
      ? '`runbooks schedules apply` makes it'
      : `configured are: ${known.join(', ') || 'none'}`;
    throw new ScheduleRefused(`There is no schedule ${id} on the server; ${hint}.`, 'notFound');
  }
  if (isManaged(found.memo, config.temporal.taskQueue)) return found;
  throw new ScheduleRefused(
    `Schedule ${id} was not made from this configuration, so it is left alone; use \`temporal schedule\` for it.`,
  );
}

/**
 * Starts a run now, also while the schedule is paused, and returns its IDs. Throws ScheduleRefused while a run of it is
 * still going. A trigger has no name in it, so the run is told who it was: they are no second person for it.
 */
export async function triggerSchedule(
  client: Client,
  config: Config,
  id: string,
  by: string,
): Promise<{ workflowId: string; runId: string }> {
  const before = await managedSchedule(client, config, id);
  const [running] = before.info.runningActions;
  if (running !== undefined)
    throw new ScheduleRefused(`Nothing was started: ${running.workflow.workflowId} still runs.`);
  const handle = client.schedule.getHandle(id);
  await handle.trigger(ScheduleOverlapPolicy.SKIP);
  for (const end = Date.now() + TRIGGER_WAIT_MS; Date.now() < end; await sleep(100)) {
    const { info } = await handle.describe();
    const newest = info.recentActions.at(-1)?.action.workflow;
    const last = before.info.recentActions.at(-1)?.action.workflow;
    if (newest !== undefined && newest.firstExecutionRunId !== last?.firstExecutionRunId) {
      await tellWho(client, newest.workflowId, by);
      return { workflowId: newest.workflowId, runId: newest.firstExecutionRunId };
    }
    if (info.numActionsSkippedOverlap > before.info.numActionsSkippedOverlap)
      throw new ScheduleRefused('Nothing was started: a run of it began at the same moment.');
  }
  throw new ScheduleRefused(`The server took the order for ${id} and has not started a run within 10 s.`);
}

async function tellWho(client: Client, workflowId: string, by: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal('triggered', { by });
  } catch (error) {
    // It may have ended already.
    if ((error as Error).name !== 'WorkflowNotFoundError') throw error;
  }
}

/** Pauses or resumes. Returns false, and keeps the note, where it already is so. */
export async function setPaused(
  client: Client,
  config: Config,
  id: string,
  paused: boolean,
  { reason, by }: Order,
): Promise<boolean> {
  const { state } = await managedSchedule(client, config, id);
  if (state.paused === paused) return false;
  const handle = client.schedule.getHandle(id);
  const note = `${paused ? 'paused' : 'resumed'} ${utc(new Date().toISOString())} UTC by ${by}: ${reason}`;
  await (paused ? handle.pause(note) : handle.unpause(note));
  return true;
}

/** The times at which it would have started between the two, both included; the first 1000. */
export async function matchingTimes(client: Client, id: string, from: Date, to: Date): Promise<Date[]> {
  const seconds = (at: Date) => ({ seconds: Math.floor(at.getTime() / 1_000) }) as never;
  // A backfill includes its beginning, this listing does not.
  const before = new Date(from.getTime() - 1_000);
  const { startTime } = await client.workflowService.listScheduleMatchingTimes({
    namespace: client.options.namespace,
    scheduleId: id,
    startTime: seconds(before),
    endTime: seconds(to),
  });
  return (startTime ?? []).map((at) => new Date(Number(at.seconds) * 1_000));
}

/**
 * Makes up for the starts between the two times, one run after the other, and returns how many. Throws ScheduleRefused
 * where that is more than BACKFILL without having been confirmed, or nothing at all.
 */
export async function backfillSchedule(
  client: Client,
  config: Config,
  id: string,
  { from, to, confirmed = false }: { from: Date; to: Date; confirmed?: boolean },
): Promise<Date[]> {
  await managedSchedule(client, config, id);
  if (to <= from) throw new ScheduleRefused('--to must be later than --from. Nothing was started.');
  if (to.getTime() > Date.now())
    throw new ScheduleRefused('--to is in the future: those starts come by themselves. Nothing was started.');
  const days = (to.getTime() - from.getTime()) / DAY_MS;
  if (days > BACKFILL.maxDays && !confirmed)
    throw new ScheduleRefused(
      `That is ${Math.ceil(days)} days, more than ${BACKFILL.maxDays}; add --yes if you mean it. Nothing was started.`,
    );
  const starts = await matchingTimes(client, id, from, to);
  if (starts.length === 0)
    throw new ScheduleRefused(`${id} has no start between the two. Nothing was started.`);
  const most = confirmed ? BACKFILL_AT_ALL : BACKFILL.maxStarts;
  if (starts.length > most) {
    const hint = confirmed ? 'take a shorter time' : 'add --yes if you mean it';
    throw new ScheduleRefused(
      `Those would be ${starts.length >= LISTED ? `at least ${LISTED}` : starts.length} runs, more than ${most}; ${hint}. Nothing was started.`,
    );
  }
  // Each works on the same target, so one after the other.
  await client.schedule
    .getHandle(id)
    .backfill({ start: from, end: to, overlap: ScheduleOverlapPolicy.BUFFER_ALL });
  return starts;
}
