import type { ErrorRate } from '../../../activities/application/symptoms';
import { type Run, type Verdict } from '../../kit';
import { duration } from '../../../contract/text';
import { type Place, targetOf } from '../../../contract/place';

/** What the error rate was before anything was applied. */
interface Before {
  at: number;
  ok: boolean;
  windowMs: number;
}

/**
 * To be called right before production is touched; what it returns watches the error rate afterwards. Errors of an outage
 * that came before are no reason to take a good migration back: where the rate was bad already, it is judged only once its
 * window begins after that moment.
 */
export async function watchErrorRate(run: Run, place: Place): Promise<() => Promise<void>> {
  const { soakMs, soakEveryMs } = run.policy;
  const before = soakMs > 0 ? await readBefore(run, place) : undefined;
  const excusedMs = before === undefined || before.ok ? 0 : before.windowMs;
  const judge = (rate: ErrorRate) => (before === undefined ? rate : judgeRate(rate, before, Date.now()));
  return () =>
    run.soak(`Error rate of ${targetOf(place)}`, async (act) => judge(await act.readErrorRate(place)), {
      forMs: soakMs > 0 && excusedMs > 0 ? soakMs + excusedMs : soakMs,
      everyMs: soakEveryMs,
    });
}

async function readBefore(run: Run, place: Place): Promise<Before> {
  const { band, rateKnown, windowMs } = await run.step(
    `Error rate of ${targetOf(place)} before`,
    (act) => act.readSymptoms(place),
    { describe: ({ detail }) => detail },
  );
  return { at: Date.now(), ok: rateKnown && (band === null || band === 'objective'), windowMs };
}

/** The window of the rate reaches back to before the migration, and there it was bad already. */
export function judgeRate(rate: ErrorRate, { at, ok, windowMs }: Before, now: number): Verdict {
  if (rate.ok || ok || now - at >= windowMs) return rate;
  const why = `it was bad before the migration, and its window of ${duration(windowMs)} reaches back to there`;
  return { ok: true, detail: `${rate.detail}, not judged yet: ${why}` };
}
