import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { scrub } from '../../config/secrets';
import { readActivities } from './activities';
import { decodeFailures, type HistoryEvent } from './events';
import { readMessages, withSenders } from './messages';
import { reportFromEvents } from './report';
import { isReport } from '../text/report-shape';
import type { HistoryReport, RunFrame } from '../../contract/run-history';
import type { RunReport, RunStatus } from '../../contract/report';

const QUERY_TIMEOUT_MS = 3_000;

/**
 * The report of any run, also of one whose type is not a runbook: its own report where it has one (memo, else the
 * `status` query while it runs), enriched from the events with attempts, failures and messages; else made of the events.
 * Without secrets. Throws WorkflowNotFoundError.
 */
export async function reportFromHistory(
  client: Client,
  workflowId: string,
  runId?: string,
): Promise<HistoryReport> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const description = await handle.describe();
  const pinned = client.workflow.getHandle(workflowId, description.runId);
  const history = await pinned.fetchHistory();
  // A run that goes on for weeks may have left a report in its memo long ago: what it says now comes first.
  const own = (await askStatus(client, description)) ?? ownReport(description);
  const report = await buildReport(history.events ?? [], client, {
    workflowId,
    runId: description.runId,
    status: description.status.name,
    sizeBytes: description.historySize ?? 0,
    ...(own === undefined ? {} : { own }),
  });
  const children = await readChildren(client, report);
  return children.length === 0 ? report : { ...report, children };
}

/** The runbook that an incident started. Where it can no longer be read, the incident's own line about it is left. */
async function readChildren(client: Client, { incident }: HistoryReport): Promise<HistoryReport[]> {
  if (incident?.runbook === undefined) return [];
  try {
    return [await reportFromHistory(client, incident.runbook.workflowId)];
  } catch {
    return [];
  }
}

/** The same of events that are already at hand, e.g. of a stored history. */
export async function buildReport(
  events: HistoryEvent[],
  client: Pick<Client, 'options'>,
  frame: RunFrame,
): Promise<HistoryReport> {
  const converter = client.options.loadedDataConverter;
  await decodeFailures(converter, events);
  const activities = await readActivities(events, converter);
  const messages = await readMessages(events, converter);
  const { report, told } =
    frame.own === undefined
      ? await reportFromEvents(events, converter, frame, activities, messages)
      : { report: frame.own, told: true };
  const started = events[0]?.workflowExecutionStartedEventAttributes;
  return scrubAll({
    ...report,
    approvals: withSenders(report.approvals, messages),
    runId: frame.runId,
    history: {
      status: frame.status,
      taskQueue: started?.taskQueue?.name ?? '',
      events: events.length,
      sizeBytes: frame.sizeBytes,
      attempt: started?.attempt ?? 1,
      toldByRun: told,
      activities,
      messages: messages.map(({ value: _value, ...message }) => message),
    },
  });
}

function ownReport({ memo }: WorkflowExecutionDescription): RunReport | undefined {
  const report = memo?.['report'];
  return isReport(report) ? report : undefined;
}

async function askStatus(
  client: Client,
  { workflowId, runId, status }: WorkflowExecutionDescription,
): Promise<RunStatus | undefined> {
  if (status.name !== 'RUNNING') return undefined;
  try {
    const answer = await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
      client.workflow.getHandle(workflowId, runId).query<RunStatus>('status'),
    );
    return isReport(answer) ? answer : undefined;
  } catch {
    // No worker, or not a runbook: the events still tell the story.
    return undefined;
  }
}

/** Scrubs every text of a report, however deep. */
export function scrubAll<T>(value: T): T {
  if (typeof value === 'string') return scrub(value) as T;
  if (Array.isArray(value)) return value.map(scrubAll) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, scrubAll(item)])) as T;
}
