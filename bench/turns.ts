import type { Client, WorkflowHandle } from '@temporalio/client';
import { round } from './measure';

type Events = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>;

/** By what marks them in a history. */
const KINDS = {
  turns: 'workflowTaskCompletedEventAttributes',
  activities: 'activityTaskScheduledEventAttributes',
  'local activities': 'markerRecordedEventAttributes',
  signals: 'workflowExecutionSignaledEventAttributes',
  updates: 'workflowExecutionUpdateAcceptedEventAttributes',
  timers: 'timerStartedEventAttributes',
  upserts: 'upsertWorkflowSearchAttributesEventAttributes',
} as const;

export type Counts = Record<keyof typeof KINDS | 'events', number>;

/** Of entities by their ID, over all their executions; of runs all together. */
export interface Counted {
  entities: Map<string, Counts>;
  runs: Counts;
}

const none = (): Counts => ({
  ...(Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0])) as Omit<Counts, 'events'>),
  events: 0,
});

function count(events: Events): Counts {
  const counts = none();
  counts.events = events.length;
  for (const event of events)
    for (const [kind, attributes] of Object.entries(KINDS))
      if (event[attributes] != null) counts[kind as keyof typeof KINDS] += 1;
  return counts;
}

const combine = (a: Counts, b: Counts, sign = 1): Counts =>
  Object.fromEntries(
    Object.entries(a).map(([kind, value]) => [kind, value + sign * b[kind as keyof Counts]]),
  ) as Counts;

/** Everything that stands in the histories of all entities, and of these runs. */
export async function countAll(client: Client, handles: WorkflowHandle[] = []): Promise<Counted> {
  const entities = new Map<string, Counts>();
  for await (const { workflowId, runId } of client.workflow.list({
    query: "WorkflowType IN ('guard', 'places')",
  })) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    entities.set(workflowId, combine(entities.get(workflowId) ?? none(), count(events ?? [])));
  }
  let runs = none();
  for (const handle of handles) runs = combine(runs, count((await handle.fetchHistory()).events ?? []));
  return { entities, runs };
}

/** What each of so many runs cost, by what was counted before and after them. */
export function perRun(after: Counted, before: Counted, runs: number): Counts {
  const total = ({ entities }: Counted) => [...entities.values()].reduce((a, b) => combine(a, b), none());
  const all = combine(combine(after.runs, total(after)), total(before), -1);
  return Object.fromEntries(
    Object.entries(all).map(([kind, value]) => [kind, round(value / runs, 1)]),
  ) as Counts;
}

export function listed(counts: Counts): string {
  return Object.entries(counts)
    .map(([kind, value]) => `${value} ${kind}`)
    .join(', ');
}

/** The entity that heard most since then. */
export async function busiest(
  client: Client,
  before: Counted,
): Promise<{ workflowId: string; count: number }> {
  const { entities } = await countAll(client);
  const heard = ({ signals, updates }: Counts) => signals + updates;
  return [...entities]
    .map(([workflowId, now]) => ({
      workflowId,
      count: heard(now) - heard(before.entities.get(workflowId) ?? none()),
    }))
    .reduce((one, other) => (other.count > one.count ? other : one));
}
