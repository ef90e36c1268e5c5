import type { GuardState, Release, Untold } from '../../contract/guard';
import { endedOf } from './lasting';
import { page, retryAfterMs } from './page';
import { isSame } from './shape';

/** By then a run that goes on has told people, and said so. */
const FIRST_LOOK_MS = 60_000;
/** The newest: each of them has tripped a breaker. */
const MAX_UNTOLD = 20;

type Known = Pick<GuardState, 'untold'>;

/** The breaker has opened, and that run is to tell people. It may end before it does. */
export function awaitTelling(state: Known, { workflowId, runId }: Release, text: string): void {
  if (state.untold === undefined) return;
  const one: Untold = { workflowId, runId, text, times: 0, lookAt: after(FIRST_LOOK_MS) };
  state.untold = [...without(state.untold, one), one].slice(-MAX_UNTOLD);
}

/** Its run says that it has told them. */
export function peopleKnow(state: Known, run: Release): void {
  if (state.untold !== undefined) state.untold = without(state.untold, run);
}

/** That run has ended: what it has not told is told now. */
export function tellAtOnce(state: Known, run: Release): void {
  state.untold = state.untold?.map((one) =>
    isSame(one, run) ? { ...one, over: true, lookAt: after(0) } : one,
  );
}

/** When the next of them is to be looked at, in milliseconds of the clock. */
export function tellsAt({ untold = [] }: Known): number {
  return Math.min(Infinity, ...untold.map(({ lookAt }) => Date.parse(lookAt)));
}

/** Tells people instead of runs that ended before they did, again until somebody was reached. */
export async function tellInstead(state: GuardState): Promise<void> {
  const due = (state.untold ?? []).filter(({ lookAt }) => Date.parse(lookAt) <= Date.now());
  for (const run of await endedOf(due.filter(({ over }) => over === undefined))) tellAtOnce(state, run);
  for (const { workflowId, runId } of due) {
    const one = state.untold?.find((other) => isSame(other, { workflowId, runId }));
    if (one === undefined) continue;
    if (one.over === true && (await tell(state, one))) peopleKnow(state, one);
    else lookLater(state, one);
  }
}

function tell({ target }: GuardState, { workflowId, text }: Untold): Promise<boolean> {
  return page('Tell what a run could not tell', {
    target,
    workflowId,
    title: `Breaker of ${target}`,
    text: `${text} (${workflowId} was to tell this, and ended without a word that it did)`,
  });
}

function lookLater(state: Known, run: Untold): void {
  state.untold = state.untold?.map((one) =>
    isSame(one, run) ? { ...one, times: one.times + 1, lookAt: after(retryAfterMs(one.times)) } : one,
  );
}

const without = (untold: Untold[], run: Release): Untold[] => untold.filter((one) => !isSame(one, run));

const after = (ms: number): string => new Date(Date.now() + ms).toISOString();
