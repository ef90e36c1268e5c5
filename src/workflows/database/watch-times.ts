import { countOf, duration, type Run, type Verdict } from '../kit';
import type { Place } from '../../contract/place';
import type { IndexChange, IndexReview, KnownStatement } from '../../contract/tuning';

/** Calls and time of a statement so far. */
export interface StatementTime {
  id: string;
  calls: number;
  totalMs: number;
}

/** Statements whose times are looked at before and after a change of indexes. */
export interface Watched {
  /** Meant to become faster, or at least no slower. */
  slow: KnownStatement[];
  /** On tables with a new index, which each of them has to maintain. */
  writes: KnownStatement[];
}

/** Planned costs have nothing of what an index costs those who write: only their times tell. */
export function watchedBy(review: Pick<IndexReview, 'slow' | 'witnesses'>, changes: IndexChange[]): Watched {
  const { slow, witnesses } = review;
  const grown = new Set(changes.filter(({ kind }) => kind === 'create').map(({ table }) => table));
  const writes = witnesses.filter(
    (one) =>
      one.kind === 'write' &&
      one.tables.some((table) => grown.has(table)) &&
      !slow.some(({ id }) => id === one.id),
  );
  return { slow, writes };
}

export function notWatched({ policy }: Run): string[] {
  if (policy.soakMs > 0) return [];
  return [
    'nobody watches the times of the statements afterwards: `application.soakSeconds` is 0 or there is no `application`',
  ];
}

const idsOf = ({ slow, writes }: Watched): string[] => [...slow, ...writes].map(({ id }) => id);

export function readTimes(run: Run, place: Place, watched: Watched): Promise<StatementTime[]> {
  const ids = idsOf(watched);
  return run.step('Read their times so far', (act) => act.readStatementTimes({ ...place, ids }), {
    describe: (times) => countOf(times.length, 'statement'),
  });
}

/** A plan is a promise: whether it holds shows in what the customers' own calls take from now on. */
export async function watchTimes(
  run: Run,
  place: Place,
  watched: Watched,
  before: StatementTime[],
): Promise<void> {
  const { soakMs, soakEveryMs } = run.policy;
  const ids = idsOf(watched);
  if (soakMs <= 0 || ids.length === 0) return;
  // What was under way when the index came belongs to neither.
  const from = await run.look('Read their times', (act) => act.readStatementTimes({ ...place, ids }));
  const writes = watched.writes.map(({ id }) => id);
  await run.soak(
    'The statements are no slower than before',
    async (act) => judgeTimes(before, from, await act.readStatementTimes({ ...place, ids }), writes),
    { forMs: soakMs, everyMs: soakEveryMs },
  );
}

/** Times come and go with the load; slower than this is not the load. */
const MAX_SLOWER = 1.5;
const ENOUGH_CALLS = 3;

/** By less a write becomes slower for many reasons. */
const NOTICED_MS = 0.1;

/**
 * What was called since is compared with the mean of all calls before. Every write pays a little for a new index: they are
 * judged together, and against what the others have saved.
 */
export function judgeTimes(
  before: StatementTime[],
  from: StatementTime[],
  now: StatementTime[],
  writes: string[] = [],
): Verdict {
  const told: string[] = [];
  let ok = true;
  let savedMs = 0;
  const written = { calls: 0, spentMs: 0, expectedMs: 0 };
  for (const { id, calls, totalMs } of now) {
    const [then, start] = [before, from].map((times) => times.find((one) => one.id === id));
    // Fewer than before: somebody has reset the statistics.
    const [newCalls, newMs] = [calls - (start?.calls ?? 0), totalMs - (start?.totalMs ?? 0)];
    if (then === undefined || then.calls === 0 || newCalls < ENOUGH_CALLS || newMs < 0) continue;
    const [meanBefore, meanNow] = [then.totalMs / then.calls, newMs / newCalls];
    if (writes.includes(id)) {
      written.calls += newCalls;
      written.spentMs += newMs;
      written.expectedMs += newCalls * meanBefore;
      continue;
    }
    told.push(
      `statement ${id} takes ${duration(meanNow)} instead of ${duration(meanBefore)} (${newCalls} calls)`,
    );
    savedMs += Math.max(0, newCalls * meanBefore - newMs);
    ok &&= meanNow <= meanBefore * MAX_SLOWER;
  }
  const { calls, spentMs, expectedMs } = written;
  if (calls > 0) {
    const lostMs = spentMs - expectedMs;
    const hurts = spentMs > expectedMs * MAX_SLOWER && lostMs > savedMs && lostMs / calls >= NOTICED_MS;
    const cost = `${countOf(calls, 'write')} of the tables with a new index took ${duration(spentMs)} instead of ${duration(expectedMs)}`;
    told.push(hurts ? `${cost}, and the others saved only ${duration(savedMs)}` : cost);
    ok &&= !hurts;
  }
  return { ok, detail: told.length === 0 ? 'none was called often enough since' : told.join(', ') };
}
