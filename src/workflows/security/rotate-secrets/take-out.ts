import type { Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { verifyHealth, verifySmoke } from '../../database/checks';
import type { Run } from '../../kit';
import { retire, stillInUse, type BroughtIn } from './bring-in';
import { verifyProbe, type Settling } from './probes';

/**
 * Retires the former versions once what was issued with them has ended. Where the new one is not accepted by then, nothing
 * is retired; where the service does not bear it, they are accepted again.
 */
export async function takeOut(run: Run, place: Place, brought: BroughtIn): Promise<void> {
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
