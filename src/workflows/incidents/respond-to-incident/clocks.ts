import type { IncidentPolicy } from '../../../activities/incidents/incident-activities';
import type { IncidentRecord } from '../../../contract/incident';

/** Times are milliseconds of the workflow's clock. */
export interface Clocks {
  openedAt: number;
  pagedAt: number;
  /** Since when nobody was escalated to because it is unresolved. */
  escalatedAt: number;
  updatedAt: number;
  automaticUpdates: number;
  /** Highest rung of the ladder that was paged. */
  rung: number;
  /** Pages after the last rung had been reached, by what they were for. */
  beyond: Record<Climb, number>;
  /** When to look whether it is over; absent while nothing says so. */
  checkAt?: number;
  /** Since when the looks have held. */
  holdsSince?: number;
}

export type ClockName = 'escalate' | 'acknowledge' | 'check' | 'update';

/** Reasons to go up the ladder. */
export type Climb = 'escalate' | 'acknowledge';

export interface Due {
  name: ClockName;
  at: number;
}

/** P0 is told of every 15 minutes for two days; afterwards few would notice the difference, and histories are finite. */
const FREQUENT_UPDATES = 192;
const SPARSE_MS = 4 * 3_600_000;
const MAX_PAUSE_MS = 24 * 3_600_000;

export function startClocks(nowMs: number): Clocks {
  return {
    openedAt: nowMs,
    pagedAt: nowMs,
    escalatedAt: nowMs,
    updatedAt: nowMs,
    automaticUpdates: 0,
    rung: 0,
    beyond: { escalate: 0, acknowledge: 0 },
  };
}

/** Time between two status updates. */
export function updateEveryMs(
  policy: IncidentPolicy,
  { severity }: IncidentRecord,
  { automaticUpdates }: Clocks,
): number {
  const every = policy.updateMs[severity];
  return automaticUpdates < FREQUENT_UPDATES ? every : Math.max(every, SPARSE_MS);
}

/** What rings next. Of several at once the first of the list: a page says more than an update. */
export function nextClock(policy: IncidentPolicy, record: IncidentRecord, clocks: Clocks): Due {
  const { severity } = record;
  const all: Due[] = [
    {
      name: 'escalate',
      at: clocks.escalatedAt + patience(policy.escalateMs[severity], clocks.beyond.escalate),
    },
    ...(record.acknowledged === undefined
      ? [
          {
            name: 'acknowledge' as const,
            at: clocks.pagedAt + patience(policy.acknowledgeMs[severity], clocks.beyond.acknowledge),
          },
        ]
      : []),
    ...(clocks.checkAt === undefined ? [] : [{ name: 'check' as const, at: clocks.checkAt }]),
    { name: 'update', at: clocks.updatedAt + updateEveryMs(policy, record, clocks) },
  ];
  return all.reduce((first, one) => (one.at < first.at ? one : first));
}

/** Past the end of the ladder the last rung is paged again, at growing distances: it knows already. */
function patience(ms: number, beyond: number): number {
  return Math.max(ms, Math.min(ms * 2 ** Math.min(beyond, 10), MAX_PAUSE_MS));
}

/** The next rung of a ladder of so many. */
export function climb(clocks: Clocks, why: Climb, rungs: number, nowMs: number): void {
  if (clocks.rung < rungs - 1) clocks.rung += 1;
  else clocks.beyond[why] += 1;
  clocks.pagedAt = nowMs;
}
