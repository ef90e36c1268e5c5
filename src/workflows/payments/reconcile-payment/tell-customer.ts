import type { PaymentFacts } from '../../../activities/payments/reconciliation';
import type { PaymentState } from '../../../contract/payments';
import { type Place, targetOf } from '../../../contract/place';
import { repairKey } from '../../bookings/take-back';
import type { Run } from '../../kit';

/** Customers hear of what is final. */
const TOLD: PaymentState[] = ['succeeded', 'failed', 'refunded'];

/** Through the configured operation; where there is none, or it fails, a person does it. */
export async function tellCustomer(
  run: Run,
  place: Place,
  { booking, payments, informs }: PaymentFacts,
  payment: string,
  outcome: PaymentState,
): Promise<void> {
  if (!TOLD.includes(outcome)) return;
  const { amount, currency } = payments.find(({ id }) => id === payment)!;
  const message = { ...place, booking, payment, outcome, amount, currency, run: repairKey() };
  let why = 'no operation is configured that tells customers';
  if (informs) {
    const told = await run.attempt(() =>
      run.step(`Tell the customer about payment ${payment}`, (act) => act.informCustomer(message), {
        kind: 'mutate',
        undo: { irreversible: `the customer was told that payment ${payment} is ${outcome}` },
        describe: ({ detail }) => detail,
      }),
    );
    if (told.ok) return;
    ({ why } = told);
  }
  await run.task(
    `Tell the customer of booking ${booking} of ${targetOf(place)} that payment ${payment} is ${outcome} now (${why}), and write down that you did.`,
  );
}
