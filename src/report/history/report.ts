import type { LoadedDataConverter } from '@temporalio/common';
import { decodeAll, failureCause, isoTime, type HistoryEvent } from './events';
import type { ReadMessage } from './messages';
import type { Prepared } from '../../contract/policy';
import { isOutcome } from '../text/outcomes';
import { isReport } from '../text/report-shape';
import type { ActivityRecord, RunFrame } from '../../contract/run-history';
import type { Approval, EntryStatus, Outcome, RunReport, TimelineEntry } from '../../contract/report';

const READING = /^(read|list|get|find|check|count|describe|inspect|is[A-Z])/;

/**
 * A report made of nothing but events, `told` where the run's result or failure carries its own: for runs of other workflow types, and for those that could not say goodbye.
 */
export async function reportFromEvents(
  events: HistoryEvent[],
  converter: LoadedDataConverter,
  frame: RunFrame,
  activities: ActivityRecord[],
  messages: ReadMessage[],
): Promise<{ report: RunReport; told: boolean }> {
  const first = events[0]?.workflowExecutionStartedEventAttributes;
  const [input] = (await decodeAll(converter, first?.input?.payloads)) as [Record<string, unknown>?];
  const end = await readEnd(events, converter);
  if (end.report !== undefined) return { report: end.report, told: true };
  const type = first?.workflowType?.name ?? 'workflow';
  const text = (field: string) => (typeof input?.[field] === 'string' ? input[field] : '');
  const prepared = await readPrepared(events, converter);
  const mode = prepared?.policy.mode ?? text('mode');
  const timeline = [...activities.map(activityEntry), ...timerEntries(events), ...messages.map(messageEntry)];
  if (end.endedAt !== undefined) {
    timeline.push({
      title: end.outcome ?? frame.status,
      movement: 'verify',
      status: 'note',
      startedAt: end.endedAt,
      endedAt: end.endedAt,
    });
  }
  const report: RunReport = {
    runbook: type,
    title: prepared?.title ?? type,
    workflowId: frame.workflowId,
    runId: frame.runId,
    service: text('service'),
    mode: mode === 'observe' || mode === 'propose' ? mode : 'auto',
    startedBy: text('startedBy') || first?.identity || 'unknown',
    startedAt: isoTime(events[0]?.eventTime),
    ...(end.endedAt === undefined ? {} : { endedAt: end.endedAt }),
    ...(end.outcome === undefined ? {} : { outcome: end.outcome }),
    summary: end.summary ?? summaryOfOpen(frame, activities),
    approvals: messages.filter(isApproval).map(approvalOf),
    timeline: timeline.sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt)),
    facts: {
      activities: activities.length,
      retries: activities.reduce((sum, one) => sum + Math.max(0, one.attempts - 1), 0),
    },
  };
  return { report, told: false };
}

/** What the first step of a runbook recorded: its title and the mode that counted, which the input may not have. */
async function readPrepared(
  events: HistoryEvent[],
  converter: LoadedDataConverter,
): Promise<Pick<Prepared<unknown>, 'title' | 'policy'> | undefined> {
  const marker = events.find(
    (event) => event.markerRecordedEventAttributes?.markerName === 'core_local_activity',
  );
  const [result] = await decodeAll(
    converter,
    marker?.markerRecordedEventAttributes?.details?.['result']?.payloads,
  );
  const { title, policy } = (result ?? {}) as Partial<Prepared<unknown>>;
  return typeof title === 'string' && typeof policy?.mode === 'string' ? { title, policy } : undefined;
}

interface End {
  endedAt?: string;
  outcome?: Outcome;
  summary?: string;
  report?: RunReport;
}

/** How the last event says that the run ended; empty while it runs. */
async function readEnd(events: HistoryEvent[], converter: LoadedDataConverter): Promise<End> {
  const last = events.at(-1);
  if (last === undefined) return {};
  const endedAt = isoTime(last.eventTime);
  const completed = last.workflowExecutionCompletedEventAttributes;
  if (completed) {
    const [result] = await decodeAll(converter, completed.result?.payloads);
    return {
      endedAt,
      outcome: 'SUCCEEDED',
      summary: 'completed',
      ...(isReport(result) ? { report: result } : {}),
    };
  }
  const failed = last.workflowExecutionFailedEventAttributes;
  if (failed) {
    const { type, message } = failureCause(failed.failure);
    const [report] = await decodeAll(converter, failed.failure?.applicationFailureInfo?.details?.payloads);
    return {
      endedAt,
      outcome: isOutcome(type) ? type : 'FAILED',
      summary: message,
      ...(isReport(report) ? { report } : {}),
    };
  }
  if (last.workflowExecutionCanceledEventAttributes)
    return { endedAt, outcome: 'CANCELLED', summary: 'cancelled' };
  const terminated = last.workflowExecutionTerminatedEventAttributes;
  if (terminated) {
    const why = terminated.reason ? ` (${terminated.reason})` : '';
    const summary = `terminated by ${terminated.identity || 'unknown'}${why}: nothing was undone, look at what its last steps left`;
    return { endedAt, outcome: 'NEEDS_HUMAN', summary };
  }
  if (last.workflowExecutionTimedOutEventAttributes) {
    return {
      endedAt,
      outcome: 'NEEDS_HUMAN',
      summary: 'the run timed out: nothing was undone, look at what its last steps left',
    };
  }
  if (last.workflowExecutionContinuedAsNewEventAttributes)
    return { endedAt, summary: 'continued as a new run' };
  return {};
}

function summaryOfOpen({ status }: RunFrame, activities: ActivityRecord[]): string {
  const open = activities.filter((one) => one.endedAt === undefined).map((one) => one.title);
  return open.length > 0
    ? `in progress: ${open.join(', ')}`
    : `${status.toLowerCase()}; no activity in progress`;
}

function activityEntry(activity: ActivityRecord): TimelineEntry {
  const status: EntryStatus =
    activity.endedAt === undefined ? 'running' : activity.status === 'done' ? 'done' : 'failed';
  return {
    title: activity.title,
    movement: READING.test(activity.type) ? 'diagnose' : 'act',
    status,
    startedAt: activity.scheduledAt,
    ...(activity.endedAt === undefined ? {} : { endedAt: activity.endedAt }),
    // What an earlier attempt failed of is told beside the attempts.
    ...(activity.failure === undefined || status === 'done' ? {} : { detail: activity.failure }),
  };
}

function timerEntries(events: HistoryEvent[]): TimelineEntry[] {
  const timers = new Map<string, TimelineEntry>();
  for (const event of events) {
    const at = isoTime(event.eventTime);
    const {
      timerStartedEventAttributes: started,
      timerFiredEventAttributes: fired,
      timerCanceledEventAttributes: cancelled,
    } = event;
    if (started)
      timers.set(String(event.eventId), {
        title: 'Timer',
        movement: 'gate',
        status: 'waiting',
        startedAt: at,
      });
    const entry = timers.get(String(fired?.startedEventId ?? cancelled?.startedEventId));
    if (entry === undefined) continue;
    entry.endedAt = at;
    entry.status = 'done';
    entry.detail = fired ? 'elapsed' : 'ended early';
  }
  return [...timers.values()];
}

function messageEntry({ kind, name, by, at, answer }: ReadMessage): TimelineEntry {
  const title =
    kind === 'cancel' ? 'Cancellation asked for' : `${kind === 'update' ? 'Update' : 'Signal'} ${name}`;
  const detail = [`by ${by}`, answer].filter((part) => part !== undefined && part !== '').join(': ');
  return { title, movement: 'gate', status: 'note', startedAt: at, endedAt: at, detail };
}

function isApproval({ kind, name, value }: ReadMessage): boolean {
  return (
    kind === 'update' &&
    name === 'approve' &&
    typeof (value as { plan?: unknown } | undefined)?.plan === 'string'
  );
}

function approvalOf({ value, by, at }: ReadMessage): Approval {
  const { plan, note, key } = value as { plan: string; note?: string; key?: string };
  // Accepted with a key means that the run has verified the signature.
  return {
    plan,
    by,
    at,
    ...(typeof note === 'string' ? { note } : {}),
    ...(typeof key === 'string' ? { key } : {}),
  };
}
