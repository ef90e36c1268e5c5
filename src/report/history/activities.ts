import type { LoadedDataConverter } from '@temporalio/common';
import { decodeOne, failureText, isoTime, type HistoryEvent } from './events';
import type { ActivityRecord } from '../../contract/run-history';

/** Every activity of a history, in the order of scheduling. */
export async function readActivities(
  events: HistoryEvent[],
  converter: LoadedDataConverter,
): Promise<ActivityRecord[]> {
  const records = new Map<string, ActivityRecord>();
  const recordOf = (id: unknown): ActivityRecord | undefined => records.get(String(id));
  for (const event of events) {
    const at = isoTime(event.eventTime);
    if (event.activityTaskScheduledEventAttributes) {
      const type = event.activityTaskScheduledEventAttributes.activityType?.name ?? 'activity';
      const summary = await decodeOne(converter, event.userMetadata?.summary);
      const title = typeof summary === 'string' && summary !== '' ? summary : type;
      records.set(String(event.eventId), { title, type, scheduledAt: at, attempts: 0, status: 'scheduled' });
    } else if (event.activityTaskStartedEventAttributes) {
      const { scheduledEventId, attempt, lastFailure, identity } = event.activityTaskStartedEventAttributes;
      const record = recordOf(scheduledEventId);
      if (record === undefined) continue;
      Object.assign(record, { startedAt: at, attempts: attempt ?? 1, status: 'running' });
      if (identity) record.worker = identity;
      const before = failureText(lastFailure);
      if (before !== undefined) record.failure = before;
    } else {
      closeActivity(event, at, recordOf);
    }
  }
  return [...records.values()];
}

function closeActivity(
  event: HistoryEvent,
  at: string,
  recordOf: (id: unknown) => ActivityRecord | undefined,
): void {
  const ends: [ActivityRecord['status'], { scheduledEventId?: unknown } | null | undefined][] = [
    ['done', event.activityTaskCompletedEventAttributes],
    ['failed', event.activityTaskFailedEventAttributes],
    ['timed out', event.activityTaskTimedOutEventAttributes],
    ['cancelled', event.activityTaskCanceledEventAttributes],
  ];
  for (const [status, attributes] of ends) {
    const record = attributes ? recordOf(attributes.scheduledEventId) : undefined;
    if (record === undefined) continue;
    record.endedAt = at;
    record.status = status;
    const failure = failureText(
      event.activityTaskFailedEventAttributes?.failure ?? event.activityTaskTimedOutEventAttributes?.failure,
    );
    if (failure !== undefined) record.failure = failure;
  }
}
