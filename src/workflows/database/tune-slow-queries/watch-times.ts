import { countOf, duration, type Run, type Verdict } from '../../kit';
import type { Place } from '../../../contract/place';
import type { KnownStatement } from '../../../contract/tuning';

/** Calls and time of a statement so far. */
export interface StatementTime {
  id: string;
  calls: number;
  totalMs: number;
}

export function readTimes(run: Run, place: Place, slow: KnownStatement[]): Promise<StatementTime[]> {
  const ids = slow.map(({ id }) => id);
  return run.step('Read their times so far', (act) => act.readStatementTimes({ ...place, ids }), {
    describe: (times) => countOf(times.length, 'statement'),
  });
}

/** A plan is a promise: whether it holds shows in what the customers' own calls take from now on. */
export async function watchTimes(
  run: Run,
  place: Place,
  slow: KnownStatement[],
  before: StatementTime[],
): Promise<void> {
  const { soakMs, soakEveryMs } = run.policy;
  if (soakMs <= 0 || slow.length === 0) return;
  const ids = slow.map(({ id }) => id);
  // What was under way when the index came belongs to neither.
  const from = await run.look('Read their times', (act) => act.readStatementTimes({ ...place, ids }));
  await run.soak(
    'The statements are no slower than before',
    async (act) => judgeTimes(before, from, await act.readStatementTimes({ ...place, ids })),
    { forMs: soakMs, everyMs: soakEveryMs },
  );
}

/** Times come and go with the load; slower than this is not the load. */
const MAX_SLOWER = 1.5;
const ENOUGH_CALLS = 3;

/** What was called since is compared with the mean of all calls before. */
export function judgeTimes(before: StatementTime[], from: StatementTime[], now: StatementTime[]): Verdict {
  const told: string[] = [];
  let ok = true;
  for (const { id, calls, totalMs } of now) {
    const [then, start] = [before, from].map((times) => times.find((one) => one.id === id));
    // Fewer than before: somebody has reset the statistics.
    const [newCalls, newMs] = [calls - (start?.calls ?? 0), totalMs - (start?.totalMs ?? 0)];
    if (then === undefined || then.calls === 0 || newCalls < ENOUGH_CALLS || newMs < 0) continue;
    const [meanBefore, meanNow] = [then.totalMs / then.calls, newMs / newCalls];
    told.push(
      `statement ${id} takes ${duration(meanNow)} instead of ${duration(meanBefore)} (${newCalls} calls)`,
    );
    ok &&= meanNow <= meanBefore * MAX_SLOWER;
  }
  return { ok, detail: told.length === 0 ? 'none was called often enough since' : told.join(', ') };
}
