import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Symptoms } from '../../activities/application/symptoms';
import type { Run, TaskCheck, Verdict } from '../kit';
import type { Place } from '../../contract/place';

/**
 * Name of the lease under which the running application is changed. Not that of its database: a backup holds that one
 * for hours, and nobody waits for hours with a rollback.
 */
export function applicationIn({ service, environment }: Place): string {
  return `${service}/${environment}/application`;
}

/** Records an error rate for the report, where there is one. */
export function rateFact(run: Run, name: string, { rate }: Symptoms): void {
  if (rate !== null) run.fact(name, Math.round(rate * 10_000) / 100);
}

// Errors of before leave the window one after the other, and the last of them with a delay.
const GRACE_MS = 5_000;
const MAX_LOOKS = 60;

/**
 * Waits until health and error rate are well, for as long as old errors still count, and then watches them. What does not
 * hold fails the run, and so undoes what was done. Returns what was measured first.
 */
export async function verifyServing(run: Run, place: Place): Promise<Symptoms> {
  const { soakMs, soakEveryMs } = run.policy;
  const after = await run.verify(
    `${applicationIn(place)} serves again`,
    (act) => untilWell(act, place, soakEveryMs),
    verdictOf,
  );
  await run.soak('It keeps serving', async (act) => verdictOf(await act.readSymptoms(place)), {
    forMs: soakMs,
    everyMs: soakEveryMs,
  });
  return after;
}

/** For questions and tasks: people need not say that it is over. */
export function overCheck(place: Place): TaskCheck {
  return {
    title: 'Is it over?',
    everyMs: 60_000,
    call: async (act) => verdictOf(await act.readSymptoms(place)),
  };
}

function verdictOf({ ok, detail }: Symptoms): Verdict {
  return { ok, detail };
}

async function untilWell(act: Activities, place: Place, everyMs: number): Promise<Symptoms> {
  let now = await act.readSymptoms(place);
  const patienceMs = now.windowMs + GRACE_MS;
  const deadline = Date.now() + patienceMs;
  while (!now.ok && Date.now() < deadline) {
    await sleep(Math.max(everyMs, patienceMs / MAX_LOOKS));
    now = await act.readSymptoms(place);
  }
  return now;
}

/** Half the errors at most, or no more of them and less of what else was wrong. Within an objective nothing gets better. */
export function isBetter(before: Symptoms, now: Symptoms): boolean {
  if (before.ok) return false;
  const [was, is] = [before.rate ?? 0, now.rate ?? 0];
  if (before.band !== 'objective' && is < was / 2) return true;
  return is <= was && wrongIn(now) < wrongIn(before);
}

function wrongIn({ failing, strains = [] }: Symptoms): number {
  return failing.length + strains.length;
}
