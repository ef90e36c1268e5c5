import { ApplicationFailure } from '@temporalio/workflow';
import type { Correction } from '../../../activities/payments/corrections';
import type { PaymentFacts } from '../../../activities/payments/reconciliation';
import type { Repaired } from '../../../activities/postgres/repair/batches';
import { CORRECT_STEP, type PaymentState } from '../../../contract/payments';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { leftText, putBack, repairKey } from '../../bookings/take-back';
import { verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run, type Verdict } from '../../kit';
import { factsText } from './plan';

const CORRECT = 'Correct the payments';

/** Gives payments the state that their provider says. Returns what each of them is now. */
export async function correctPayments(
  run: Run,
  place: Place,
  { booking, fenceToken }: PaymentFacts,
  corrections: Correction[],
): Promise<Map<string, PaymentState>> {
  if (corrections.length === 0) return new Map();
  const { left } = await run.exclusively(
    targetOf(place),
    async (fence) => {
      const repaired = await correct(run, place, corrections, fence);
      const done = doneOf(corrections, repaired);
      await run.verify(
        'Application and providers agree',
        (act) => act.findPayments({ ...place, booking }),
        (now) => agreeIn(now, done),
      );
      await verifyHealth(run, place);
      await verifySmoke(run, place);
      return repaired;
    },
    fenceToken,
  );
  for (const { unit, why } of left) run.note(`Left alone: ${unit}`, why, { failed: true });
  return new Map(doneOf(corrections, { left }).map(({ payment, to }) => [payment, to]));
}

async function correct(run: Run, place: Place, corrections: Correction[], fence: Fence): Promise<Repaired> {
  const step = { ...place, run: repairKey(), step: CORRECT_STEP, fence };
  return run.step(
    CORRECT,
    async (act) => {
      const repaired = await act.correctPayments({ ...step, corrections });
      if (repaired.done > 0) return repaired;
      const why = `nothing was changed: ${leftText(repaired.left)}. Start again, and they are looked at anew`;
      throw ApplicationFailure.nonRetryable(why, 'ChangedSince');
    },
    {
      kind: 'mutate',
      undo: {
        title: 'Put the payments back',
        back: () =>
          putBack(run, { title: CORRECT, noun: 'payment' }, (act) => act.undoPaymentCorrection(step)),
      },
      describe: ({ done, left }) =>
        `${countOf(done, 'payment')}${left.length === 0 ? '' : `; left alone: ${leftText(left)}`}`,
    },
  );
}

function doneOf(corrections: Correction[], { left }: Pick<Repaired, 'left'>): Correction[] {
  return corrections.filter(({ payment }) => !left.some(({ unit }) => unit === `payment ${payment}`));
}

function agreeIn(now: PaymentFacts, done: Correction[]): Verdict {
  const ok = done.every(({ payment }) =>
    now.payments.some(({ id, verdict }) => id === payment && verdict.kind === 'agrees'),
  );
  return { ok, detail: factsText(now) };
}
