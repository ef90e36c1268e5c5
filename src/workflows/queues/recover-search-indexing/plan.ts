import type { QueuesStatus, QueueStatus } from '../../../activities/queues/look';
import type { SearchStatus, SearchTasks } from '../../../activities/queues/search';
import type { Place } from '../../../contract/place';
import { countOf, duration, type PlanDraft, type Verdict } from '../../kit';
import { depthText, findingsOf, queuesIn, reasonsText, unknownOf, type Finding } from '../findings';

export interface Indexing {
  search: SearchStatus;
  status: QueuesStatus;
  queue: QueueStatus;
  findings: Finding[];
}

export function indexingOf(search: SearchStatus, status: QueuesStatus): Indexing {
  const [queue] = status.queues;
  return { search, status, queue: queue!, findings: findingsOf(queue!) };
}

export function hasFailing({ findings }: Indexing): boolean {
  return findings.some(({ cause }) => cause === 'failing');
}

export function tasksFail({ search }: Pick<Indexing, 'search'>): boolean {
  return (search.tasks?.failed ?? 0) > 0;
}

/** From a change until it is in the index, as far as queue and Meilisearch tell; null where nobody can tell. */
export function lagOf({ search: { tasks }, queue }: Pick<Indexing, 'search' | 'queue'>): number | null {
  return queue.delayMs === null ? null : Math.max(queue.delayMs, tasks?.oldestMs ?? 0);
}

export function lagHolds({ search, queue }: Pick<Indexing, 'search' | 'queue'>): Verdict {
  const lag = lagOf({ search, queue });
  const wanted = `wanted at most ${duration(search.maxLagMs)}`;
  if (lag === null) return { ok: false, detail: `the lag is not known, ${wanted}` };
  const detail = `lag ${duration(lag)}, ${wanted}; ${search.detail}; ${queue.name}: ${depthText(queue)}`;
  return { ok: search.available && lag <= search.maxLagMs, detail };
}

export function isWell(indexing: Indexing): boolean {
  return lagHolds(indexing).ok && indexing.findings.length === 0 && !tasksFail(indexing);
}

export function tasksText(tasks: SearchTasks): string {
  const failed = tasks.failed === 0 ? 'none failed' : `${tasks.failed} failed (${tasks.reasons.join('; ')})`;
  return `${countOf(tasks.open, 'open task')}, the oldest for ${duration(tasks.oldestMs)}, ${failed}`;
}

/** Whether none failed since the one with that number; where nobody may read them, the plan has said so. */
export function refusesNoMore(known: number, { available, detail, tasks }: SearchStatus): Verdict {
  if (tasks === null) return { ok: available, detail };
  return { ok: tasks.newestFailed <= known, detail: tasksText(tasks) };
}

/** What nobody can tell, or looks at. */
export function unseenOf({ search, queue }: Pick<Indexing, 'search' | 'queue'>): string[] {
  const { tasks, available } = search;
  const unseen = available
    ? 'search.apiKey is not configured: what became of the tasks of Meilisearch nobody looks at'
    : 'what became of the tasks of Meilisearch is not known while it is down';
  return [...(tasks === null ? [unseen] : []), ...unknownOf(queue)];
}

/** The same of it has the same plan. */
export function stateOf(indexing: Indexing): string {
  const { search, findings } = indexing;
  return JSON.stringify([search.available, tasksFail(indexing), findings.map(({ cause }) => cause)]);
}

export function planFor(place: Place, indexing: Indexing, unchecked: string[]): PlanDraft {
  const { search, queue, status } = indexing;
  const target = `${queuesIn(place)}/${queue.name}`;
  const down = !search.available;
  return {
    actions: [
      ...(down && !queue.paused
        ? [{ action: 'pause until Meilisearch is available', target, detail: search.detail }]
        : []),
      ...(down
        ? [
            {
              action: 'call people to bring Meilisearch back, and wait',
              target: queuesIn(place),
              detail: `${duration(search.waitMs)}, then a task for a person`,
            },
          ]
        : []),
      ...(queue.paused
        ? [{ action: 'resume, where a person says that it was paused by mistake', target }]
        : []),
      ...(tasksFail(indexing)
        ? [
            {
              action: 'a task for a person: tasks that Meilisearch refused',
              target: queuesIn(place),
              detail: search.tasks!.reasons.join('; '),
            },
          ]
        : []),
      {
        action: 'retry failed jobs, if there are any by then',
        target,
        detail: queue.failures.length === 0 ? 'none now' : reasonsText(queue),
      },
      {
        action: 'wait until the index is up to date',
        target,
        detail: `${duration(status.patienceMs)} at most`,
      },
    ],
    warnings: [
      'what retried jobs do cannot be taken back; a job that fails again is not retried again unasked',
      ...unseenOf(indexing),
      ...unchecked,
    ],
    facts: { state: stateOf(indexing) },
  };
}
