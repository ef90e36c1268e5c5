import { patched } from '@temporalio/workflow';
import type { HoldKeys, HoldQueue, HoldQueueStatus } from '../../../activities/queues/holds';
import type { HoldRequest } from '../../../contract/bookings';
import type { Place } from '../../../contract/place';
import { countOf, type Run } from '../../kit';

const NOT_LOOKED_AT = 'failed jobs and idempotency keys were not looked at';

/** Why holds may have stayed: the queue of the job that releases them, and the requests that made them. */
export async function lookAtQueue(run: Run, place: Place, requests: HoldRequest[]): Promise<HoldQueue> {
  if (!patched('looks-at-the-queue-of-holds')) return { found: 'unconfigured' };
  return run.step(
    'Look at the queue that releases holds',
    (act) => act.readHoldQueue({ ...place, requests }),
    { describe: (look) => queueText(look) },
  );
}

export function queueText(look: HoldQueue): string {
  if (look.found === 'unconfigured') return `${NOT_LOOKED_AT}: no queue is configured`;
  if (look.found === 'unread') return `${NOT_LOOKED_AT}: ${look.why}`;
  return `${statusText(look.queue, look.hours)}; ${keysText(look.keys)}`;
}

function statusText(
  { name, paused, workers, waiting, failed, failures }: HoldQueueStatus,
  hours: number,
): string {
  const parts = [
    ...(paused ? ['is paused'] : []),
    workers === null
      ? 'who works on it is not known'
      : workers === 0
        ? 'nobody works on it'
        : countOf(workers, 'worker'),
    `${countOf(waiting, 'job')} waiting`,
    `${countOf(failed, 'job')} failed within ${hours} h`,
    ...failures.slice(0, MAX_REASONS).map(({ reason, count }) => `${count} of them: ${reason}`),
  ];
  return `queue ${name}: ${parts.join(', ')}`;
}

const MAX_REASONS = 3;

function keysText(keys: HoldKeys | null): string {
  if (keys === null) return 'idempotency keys were not looked at: queues.holds.idempotency is not configured';
  const { looked, missing, passedOver } = keys;
  const over = passedOver === 0 ? '' : `; ${passedOver} not looked for: too old, or without a key`;
  if (looked === 0) return `no idempotency key was looked for${over}`;
  const lacks = missing.length === 0 ? '' : `, not that of ${missing.join(', ')}`;
  return `idempotency keys in Redis: ${looked - missing.length} of ${looked}${lacks}${over}`;
}

/** What people should know of it before they say yes: all that is not well, or not known. */
export function queueWarnings(look: HoldQueue, repeated: number | null): string[] {
  const twice =
    (repeated ?? 0) > 0
      ? [
          `${countOf(repeated!, 'hold')} more than there were requests: some came twice. Look why at the gateway`,
        ]
      : [];
  if (look.found !== 'read') return [...twice, queueText(look)];
  const { queue, keys, hours } = look;
  const isWell = !queue.paused && queue.workers !== 0 && queue.failed === 0;
  const jobs = queue.failed === 0 ? '' : '. drainQueueBacklog retries failed jobs';
  const gone = keys !== null && keys.missing.length > 0;
  return [
    ...twice,
    ...(isWell ? [] : [`${statusText(queue, hours)}${jobs}`]),
    ...(keys === null || gone ? [keysText(keys)] : []),
    ...(gone
      ? ['where a key is missing, a request that comes again is another booking: look at the gateway']
      : []),
  ];
}
