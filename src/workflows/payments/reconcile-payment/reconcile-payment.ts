import { ApplicationFailure } from '@temporalio/workflow';
import type { Refund } from '../../../activities/payments/judge';
import type { PaymentFacts } from '../../../activities/payments/reconciliation';
import type { Subject } from '../../../activities/payments/rows';
import type { Place } from '../../../contract/place';
import { uncheckedOf } from '../../database/checks';
import { countOf, type Run, runbook } from '../../kit';
import type { reconcilePaymentCard } from './card';
import { correctPayments } from './correct';
import { endWell } from './end-well';
import { askForRefunds, decide, type Decided, draftOf, factsText, indexIsTask } from './plan';
import { refundPayment } from './refund';
import { tellCustomer } from './tell-customer';

/** Makes what the application has of a booking's payments agree with the money. Booking and slot are not its business. */
export const reconcilePayment = runbook<typeof reconcilePaymentCard>(
  'reconcilePayment',
  async ({ service, environment, booking, payment }, run) => {
    const place = { service, environment };
    const subject = subjectOf({ booking, payment });
    let facts = await diagnose(run, place, subject);
    noteEvidence(run, facts);
    const warnings = await uncheckedOf(run, place);
    const observed = run.policy.mode === 'observe';
    const answers = new Map<string, string>();
    let decided: Decided | undefined;
    await run.gate(async () => {
      if (decided !== undefined) facts = await diagnose(run, place, subject);
      while (await askForRefunds(run, facts, answers)) facts = await diagnose(run, place, subject);
      decided = decide(facts, answers, observed);
      endWhereNothingIsLeft(run, facts, decided);
      return draftOf(place, facts, decided, { observed, warnings });
    });
    const { corrections, refunds, declined, tasks } = decided!;
    const corrected = await correctPayments(run, place, facts, corrections);
    run.fact('paymentsCorrected', corrected.size);
    for (const [id, outcome] of corrected)
      if (!refunds.some((refund) => refund.payment === id))
        await tellCustomer(run, place, facts, id, outcome);
    let refunded = 0;
    for (const refund of refunds) {
      if (await refundPayment(run, place, facts, refund)) refunded += 1;
      await tellCustomer(run, place, facts, refund.payment, 'refunded');
    }
    run.fact('paymentsRefunded', refunded);
    await endWell(run, place, subject, facts, tasks);
    return `booking ${facts.booking}: ${countOf(corrected.size, 'payment')} corrected, ${countOf(refunded, 'payment')} refunded${leftOf(declined)}; the booking was not touched`;
  },
);

function subjectOf({ booking, payment }: Subject): Subject {
  if (booking === undefined && payment === undefined)
    throw ApplicationFailure.nonRetryable(
      'neither a booking nor a payment is named, and nobody guesses whose money is meant. Start again with `booking` or `payment`',
      'InvalidInput',
    );
  return { ...(booking === undefined ? {} : { booking }), ...(payment === undefined ? {} : { payment }) };
}

/** Ends the run where application and providers agree, and nothing is left to anybody. */
async function diagnose(run: Run, place: Place, subject: Subject): Promise<PaymentFacts> {
  const facts = await run.step(
    'Compare the payments with their providers',
    (act) => act.findPayments({ ...place, ...subject }),
    { kind: 'long', undo: 'read-only', describe: factsText },
  );
  const { payments, refunds, findings, index } = facts;
  const agree = payments.every(({ verdict }) => verdict.kind === 'agrees');
  if (!agree || refunds.length > 0 || findings.length > 0 || indexIsTask(facts)) return facts;
  return run.nothingToDo(`application and providers agree: ${factsText(facts)}; ${index.detail}`);
}

function noteEvidence(run: Run, { audit, index, payments }: PaymentFacts): void {
  const trail = audit.map(
    ({ payment, action, source }) => `${payment}: ${action}${source === null ? '' : ` by ${source}`}`,
  );
  run.note(
    'Audit trail of the payments',
    trail.length === 0 ? 'it has nothing about them' : trail.join('; '),
  );
  run.note('Index of webhooks', index.detail, { failed: indexIsTask({ index } as PaymentFacts) });
  run.fact('payments', payments.length);
}

/** A person wanted the only thing that could be done not to be done. */
function endWhereNothingIsLeft(run: Run, facts: PaymentFacts, decided: Decided): void {
  const { corrections, refunds, declined, tasks } = decided;
  if (corrections.length + refunds.length + tasks.length > 0 || indexIsTask(facts)) return;
  if (declined.length > 0) run.reject(`decided so${leftOf(declined)}`);
}

function leftOf(declined: Refund[]): string {
  const each = declined.map(({ payment, money }) => `, ${money} of payment ${payment} stays with us`);
  return each.join('');
}
