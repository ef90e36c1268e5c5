import type { Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { verifyHealth, verifySmoke } from '../../database/checks';
import type { Run } from '../../kit';
import { retire, stillInUse, type BroughtIn } from './bring-in';
import { verifyProbe, type Settling } from './probes';
import type { SoFar } from './so-far';

/** What may end first. */
export function nextOf({ brought }: SoFar): BroughtIn | undefined {
  return [...brought].sort((a, b) => a.retireAt - b.retireAt)[0];
}

/** Those that are due by then, in their order. */
export async function takeOutUntil(run: Run, place: Place, so: SoFar, byMs: number): Promise<void> {
  for (;;) {
    const one = nextOf(so);
    if (one === undefined || one.retireAt > byMs) return;
    so.brought = so.brought.filter((other) => other !== one);
    const { secret } = one.status;
    const { ok, why } = await run.attempt(() => takeOut(run, place, one));
    if (ok) so.retired.push(secret);
    else
      so.failures.push(
        `${secret}: ${one.version} is in use; retiring ${one.formers.join(', ')} failed: ${why}`,
      );
  }
}

/**
 * Retires the former versions once what was issued with them has ended. Where the new one is not accepted by then, nothing
 * is retired; where the service does not bear it, they are accepted again.
 */
async function takeOut(run: Run, place: Place, brought: BroughtIn): Promise<void> {
  const { status, version, formers, retireAt } = brought;
  const { secret } = status;
  if (formers.length === 0) return;
  const ref: Settling = { ...place, secret, settleMs: status.settleMs };
  await run.rest(`What was issued with former versions of ${secret} ends`, retireAt - Date.now());
  await run.exclusively(applicationIn(place), async (fence) => {
    const now = await stillInUse(run, ref, version);
    await verifyProbe(run, ref, version, true);
    const accepted = formers.filter((one) => now.accepted.includes(one));
    await retire(run, ref, accepted, now, fence);
    // What its store calls retired, somebody else has retired, or the application may take it all the same.
    for (const one of formers) if (!accepted.includes(one)) await verifyProbe(run, ref, one, false);
    await verifyProbe(run, ref, version, true);
    await verifyHealth(run, place);
    await verifySmoke(run, place);
  });
}
