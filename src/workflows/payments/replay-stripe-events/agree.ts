import type { SubscriptionLook } from '../../../activities/payments/stripe/subscriptions';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { leftText, putBack, repairKey } from '../../bookings/take-back';
import { verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run } from '../../kit';
import { driftDraftOf, driftsText, subscriptionsText } from './plan';

const CORRECT = 'Correct the subscriptions';

export function compare(run: Run, place: Place): Promise<SubscriptionLook> {
  return run.step('Compare subscriptions with Stripe', (act) => act.compareSubscriptions(place), {
    kind: 'long',
    undo: 'read-only',
    describe: subscriptionsText,
  });
}

/**
 * Corrects what still differs. Events that have come since may have put some right, or changed others: then the plan is a new
 * one, and is asked for by itself.
 */
export async function agree(
  run: Run,
  place: Place,
  { before, sent, unchecked }: { before: SubscriptionLook; sent: boolean; unchecked: string[] },
): Promise<{ corrected: number; findings: string[] }> {
  const look = sent && before.configured ? await compare(run, place) : before;
  const { drifts, findings, fenceToken } = look;
  if (drifts.length === 0) return { corrected: 0, findings };
  if (sent) await run.gate(() => driftDraftOf(place, look, unchecked));
  const corrected = await run.exclusively(
    targetOf(place),
    (fence) => correct(run, place, look, fence),
    fenceToken,
  );
  return { corrected, findings };
}

async function correct(run: Run, place: Place, { drifts }: SubscriptionLook, fence: Fence): Promise<number> {
  const { done, left } = await run.step(
    CORRECT,
    (act) => act.correctSubscriptions({ ...place, drifts, run: repairKey(), fence }),
    {
      kind: 'mutate',
      undo: {
        title: 'Put the subscriptions back',
        back: () =>
          putBack(run, { title: CORRECT, noun: 'subscription' }, (act) =>
            act.undoSubscriptionCorrection({ ...place, run: repairKey(), fence }),
          ),
      },
      describe: (repaired) =>
        `${countOf(repaired.done, 'subscription')}${repaired.left.length === 0 ? '' : `; left alone: ${leftText(repaired.left)}`}`,
    },
  );
  for (const { unit, why } of left) run.note(`Left alone: ${unit}`, why, { failed: true });
  const mine = new Set(drifts.map(({ id }) => id));
  // What somebody changes at Stripe meanwhile is no reason to put the others back.
  await run.check('They agree with Stripe', async (act) => {
    const again = (await act.compareSubscriptions(place)).drifts.filter(({ id }) => mine.has(id));
    return { ok: again.length === 0, detail: again.length === 0 ? 'all of them agree' : driftsText(again) };
  });
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  return done;
}
