import { condition, sleep } from '@temporalio/workflow';
import type { LimitFacts } from '../../../activities/application/blocked';
import type { Activities } from '../../../activities';
import type { Fence, Place } from '../../../contract/place';
import { allHold, verifyHealth, verifySmoke } from '../../database/checks';
import { causeOf, duration, percent, verificationFailed, type Run, type WayBack } from '../../kit';
import { applicationIn } from '../serving';
import type { Remedy } from './choose';

const MAX_LOOKS = 60;
const GRACE_MS = 5_000;
/** The run takes an exception back itself; what lapses later is for a run that somebody terminates. */
const LAPSE_MS = 15 * 60_000;
const LATE_MS = 5 * 60_000;

/**
 * Changes the limits, and has them as usual again after that time, whatever comes. `stopIfOver` ends the run where nobody
 * is refused any more once it is its turn: others may have had the lease for hours.
 */
export async function adjustForAWhile(
  run: Run,
  place: Place,
  remedy: Remedy,
  { facts, stopIfOver }: { facts: LimitFacts; stopIfOver: () => Promise<unknown> },
): Promise<void> {
  const { forMs } = remedy;
  let changed = false;
  const back = async (fence: Fence): Promise<void> => {
    await restore(run, place, remedy, fence);
    changed = false;
  };
  // Before anything is changed: whenever the run is cancelled, they go back.
  run.defer('Rate limits are as usual', async () => {
    if (changed) await takeBack(run, place, remedy, back).catch((error) => callForHelp(run, place, error));
  });
  await run.exclusively(applicationIn(place), async (fence) => {
    await stopIfOver();
    const until = new Date(Date.now() + facts.settleMs + forMs + LAPSE_MS).toISOString();
    await change(run, place, remedy, { until, fence, back, begin: () => (changed = true) });
    const now = await run.verify(
      'Fewer are refused',
      (act) => untilWell(act, place, remedy, facts),
      (one) => ({ ok: isWell(one, remedy), detail: `${one.detail}; ${one.blockedDetail}` }),
    );
    shareFact(run, 'refusedShareMeanwhile', now);
    await verifyHealth(run, place);
    await verifySmoke(run, place);
  });
  await run.announce(`${place.service}: ${titleOf(remedy)}, for ${duration(forMs)}.`);
  const ill = await watch(run, place, forMs);
  // Where that fails, tidying up tries once more, and calls for help.
  await takeBack(run, place, remedy, back);
  if (ill !== undefined) throw verificationFailed(`It stays well with them: ${ill}`);
}

export function shareFact(run: Run, name: string, { refusedShare }: LimitFacts): void {
  run.fact(name, refusedShare === null ? 'unknown' : percent(refusedShare, 1));
}

export function titleOf({ who, exception }: Remedy): string {
  return who.length === 0 ? 'the rate limits are raised' : `${exception} for ${who.join(', ')}`;
}

const CHANGE = 'Change the rate limits';
const RESTORE = 'Usual rate limits again';

interface Change {
  /** When an exception lapses where nobody ends it. */
  until: string;
  fence: Fence;
  back: (fence: Fence) => Promise<void>;
  begin: () => void;
}

async function change(
  run: Run,
  place: Place,
  remedy: Remedy,
  { until, fence, back, begin }: Change,
): Promise<void> {
  const { who, exception } = remedy;
  const undo: WayBack = { title: RESTORE, back: () => back(fence) };
  await run.step(
    CHANGE,
    async (act) => {
      begin();
      if (who.length === 0) return (await act.raiseRateLimits({ ...place, fence })).detail;
      const all = [];
      for (const one of who)
        all.push(await act.setException({ ...place, exception, who: one, until, fence }));
      return all.map(({ detail }) => detail).join('; ');
    },
    { kind: 'mutate', undo, describe: (detail) => `${titleOf(remedy)}: ${detail}` },
  );
}

async function restore(run: Run, place: Place, { who, exception }: Remedy, fence: Fence): Promise<void> {
  await run.step(
    RESTORE,
    async (act) => {
      if (who.length === 0) return (await act.restoreRateLimits({ ...place, fence })).detail;
      return unsetAll(who, (one) => act.unsetException({ ...place, exception, who: one, fence }));
    },
    { kind: 'mutate', undo: { takesBack: CHANGE }, describe: (detail) => detail },
  );
}

/** The lease may be with a run that waits for people, for days: somebody must know what lasts longer than was meant. */
async function takeBack(
  run: Run,
  place: Place,
  remedy: Remedy,
  back: (fence: Fence) => Promise<void>,
): Promise<void> {
  const target = applicationIn(place);
  let waits = true;
  const call = async (): Promise<void> => {
    if (await condition(() => !waits, LATE_MS)) return;
    await run.page(
      `${place.service}: ${titleOf(remedy)}, and cannot go back: another run has the lease of ${target}. See \`runbooks guard ${target}\`, and end that run or have the usual limits again by hand.`,
    );
  };
  // Where the run is cancelled, tidying up waits in its place.
  const called = call().catch(() => undefined);
  try {
    await run.exclusively(target, (fence) => {
      waits = false;
      return back(fence);
    });
  } finally {
    waits = false;
    await called;
  }
}

/** One that cannot be taken back keeps none of the others. */
async function unsetAll(who: string[], unset: (one: string) => Promise<{ detail: string }>): Promise<string> {
  const details: string[] = [];
  const failures: Error[] = [];
  for (const one of who) {
    try {
      details.push((await unset(one)).detail);
    } catch (error) {
      failures.push(error as Error);
    }
  }
  if (failures[0] !== undefined) throw failures[0];
  return details.join('; ');
}

/** Refusals of before leave the window one after the other. Looks are counted: each may take its time. */
async function untilWell(
  act: Activities,
  place: Place,
  remedy: Remedy,
  { settleMs }: LimitFacts,
): Promise<LimitFacts> {
  const patienceMs = settleMs + GRACE_MS;
  const everyMs = Math.max(1_000, Math.ceil(patienceMs / MAX_LOOKS));
  const read = () => act.readLimits({ ...place, about: remedy.who });
  let now = await read();
  for (let leftMs = patienceMs; !isWell(now, remedy) && leftMs > 0; leftMs -= everyMs) {
    await sleep(everyMs);
    now = await read();
  }
  return now;
}

/** Where single ones are exempted, others may still be refused, and rightly so. */
function isWell({ refusedShare, tooMany, blocked }: LimitFacts, { who }: Remedy): boolean {
  if (who.length === 0) return refusedShare !== null && !tooMany;
  return !blocked.some((one) => who.includes(one.who));
}

/** Limits also protect: says what is ill as soon as anything is. */
async function watch(run: Run, place: Place, forMs: number): Promise<string | undefined> {
  const everyMs = Math.max(run.policy.soakEveryMs, Math.ceil(forMs / MAX_LOOKS));
  for (let leftMs = forMs; leftMs > 0; leftMs -= everyMs) {
    run.summary(`${duration(leftMs)} to go until the usual limits`);
    await sleep(Math.min(everyMs, leftMs));
    const checks = await run.look('Health meanwhile', (act) => act.checkHealth(place));
    if (checks.length === 0) continue;
    const { ok, detail } = allHold(checks);
    if (ok) continue;
    run.note('Finding: it does not bear that', detail, { failed: true });
    return detail;
  }
  return undefined;
}

async function callForHelp(run: Run, { service }: Place, error: unknown): Promise<never> {
  await run.page(
    `${service}: the rate limits are still changed (${causeOf(error).message}). Restore them by hand.`,
  );
  throw error;
}
