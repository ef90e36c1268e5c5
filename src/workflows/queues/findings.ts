import type { QueueStatus, Seen } from '../../activities/queues/look';
import type { Place } from '../../contract/place';
import { countOf, duration, percent, type Verdict } from '../kit';

/** Why jobs of a queue wait too long, or do not end well. */
export type Cause = 'paused' | 'no workers' | 'growing' | 'slow' | 'failing';

export interface Finding {
  queue: QueueStatus;
  cause: Cause;
  detail: string;
}

/** Name of the lease under which queues are changed. */
export function queuesIn({ service, environment }: Place): string {
  return `${service}/${environment}/queues`;
}

export function isLate({ delayMs, maxDelayMs }: QueueStatus): boolean {
  return delayMs !== null && delayMs > maxDelayMs;
}

/** What is wrong with one queue; empty where it keeps its objectives. */
export function findingsOf(queue: QueueStatus): Finding[] {
  const { name, paused, pausedBy, workers, waiting, delayed } = queue;
  const found: Finding[] = [];
  const add = (cause: Cause, detail: string) => found.push({ queue, cause, detail });
  if (paused && (waiting > 0 || delayed > 0))
    add(
      'paused',
      `${name} is paused by ${pausedBy === null ? 'somebody' : `the run ${pausedBy}`}; ${depthText(queue)}`,
    );
  if (workers === 0 && (waiting > 0 || isLate(queue)))
    add('no workers', `nobody works on ${name}; ${depthText(queue)}`);
  if (isLate(queue) && found.length === 0) {
    if (isGrowing(queue))
      add('growing', `${name} grows faster than it drains: ${flowText(queue)}; ${depthText(queue)}`);
    else add('slow', `${name} is worked on too slowly: ${flowText(queue)}; ${depthText(queue)}`);
  }
  if (isFailing(queue))
    add('failing', `of ${name} ${countOf(queue.recent.failed, 'job')} failed lately; ${reasonsText(queue)}`);
  return found;
}

/** More comes in than goes out. */
export function isGrowing({ flow }: QueueStatus): boolean {
  return flow !== null && flow.came > flow.completed + flow.failed;
}

function isFailing({ flow, recent, maxFailedShare }: QueueStatus): boolean {
  if (recent.failed === 0) return false;
  const now = flow === null ? 0 : shareOf(flow.failed, flow.completed);
  return Math.max(now, shareOf(recent.failed, recent.completed)) > maxFailedShare;
}

function shareOf(failed: number, completed: number): number {
  return failed === 0 ? 0 : failed / (failed + completed);
}

/** What nobody can tell of a queue: never a silent pass. */
export function unknownOf({ name, delayMs, workers, flow, odd }: QueueStatus): string[] {
  return [
    ...(delayMs === null ? [`how long jobs of ${name} wait is not known: what waits there are no jobs`] : []),
    ...(workers === null
      ? [`whether anybody works on ${name} is not known: this Redis does not say who is connected`]
      : []),
    ...(flow === null ? [`whether ${name} grows is not known: it keeps no events of this time`] : []),
    ...(odd > 0
      ? [
          `${countOf(odd, 'failed ID')} of ${name} ${odd === 1 ? 'has' : 'have'} no job behind ${odd === 1 ? 'it' : 'them'}, and ${odd === 1 ? 'is' : 'are'} left alone`,
        ]
      : []),
  ];
}

export function depthText({ waiting, active, delayed, failed, delayMs }: QueueStatus): string {
  const oldest = delayMs === null ? 'for how long nobody can tell' : `the oldest for ${duration(delayMs)}`;
  const counts = [`${active} active`, `${delayed} delayed`, `${failed} failed`].join(', ');
  return waiting === 0 && delayMs === 0 ? `none waits, ${counts}` : `${waiting} wait, ${oldest}, ${counts}`;
}

export function flowText({ flow }: QueueStatus): string {
  if (flow === null) return 'in and out are not known';
  const out = flow.completed + flow.failed;
  return `${flow.came} came and ${out} ended within ${duration(flow.windowMs)}`;
}

const MAX_NAMED = 3;

export function reasonsText({ failures }: Pick<QueueStatus, 'failures'>): string {
  const named = failures.slice(0, MAX_NAMED).map(({ reason, count }) => `${count} x ${reason}`);
  const more = failures.length > MAX_NAMED ? ` and ${failures.length - MAX_NAMED} other reasons` : '';
  return `${named.join('; ')}${more}`;
}

export function queuesText(queues: QueueStatus[]): string {
  return queues.map((one) => `${one.name}: ${depthText(one)}`).join('; ');
}

export function seenOf(queues: QueueStatus[]): Seen[] {
  return queues.map(({ name, newestEvent, added }) => ({ name, newestEvent, added }));
}

/** Whether no job waits for longer than it should. */
export function delaysHold(queues: QueueStatus[]): Verdict {
  const bad = queues.filter((one) => one.delayMs === null || isLate(one));
  if (bad.length === 0) return { ok: true, detail: queuesText(queues) };
  const growing = bad
    .filter(isGrowing)
    .map((one) => `${one.name} grows faster than it drains: ${flowText(one)}`);
  const late = bad.map((one) => `${one.name}: ${depthText(one)}, wanted at most ${duration(one.maxDelayMs)}`);
  return { ok: false, detail: [...growing, ...late].join('; ') };
}

export function shareText({ flow, maxFailedShare }: QueueStatus): string {
  return flow === null
    ? 'failed share not known'
    : `${percent(shareOf(flow.failed, flow.completed))} failed, wanted at most ${percent(maxFailedShare)}`;
}
