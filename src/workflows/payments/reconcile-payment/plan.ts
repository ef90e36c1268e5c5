import type { Correction } from '../../../activities/payments/corrections';
import type { Finding, JudgedPayment, Refund } from '../../../activities/payments/judge';
import type { PaymentFacts } from '../../../activities/payments/reconciliation';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, digest, type PlanDraft, type Run } from '../../kit';

/** What this run does, and what it leaves to people. */
export interface Decided {
  corrections: Correction[];
  refunds: Refund[];
  /** Refunds that a person did not want. */
  declined: Refund[];
  tasks: Finding[];
}

const REFUND = 'refund it';
const LEAVE = 'leave it';

/**
 * Money goes back only where a person said so, who is asked once for the same payment. Returns whether anybody was asked:
 * meanwhile anything may have changed. In mode `observe` nobody is.
 */
export async function askForRefunds(
  run: Run,
  facts: PaymentFacts,
  answers: Map<string, string>,
): Promise<boolean> {
  let asked = false;
  if (run.policy.mode === 'observe') return asked;
  for (const refund of refundable(facts)) {
    if (answers.has(digest(refund))) continue;
    const { payment, provider, reference, money, keeps } = refund;
    const question = `Booking ${facts.booking} was paid twice: payment ${keeps.payment} (${keeps.provider} ${keeps.reference}) stays. Refund payment ${payment} (${provider} ${reference}), ${money}?`;
    answers.set(digest(refund), await run.ask(question, [REFUND, { harmless: LEAVE }]));
    asked = true;
  }
  return asked;
}

function refundable({ refunds, canRefund }: PaymentFacts): Refund[] {
  return refunds.filter(({ provider }) => canRefund.includes(provider));
}

/** A refund that nobody was asked for yet is none, but where it is only observed. */
export function decide(facts: PaymentFacts, answers: Map<string, string>, observed: boolean): Decided {
  const answerTo = (refund: Refund) => answers.get(digest(refund));
  const possible = refundable(facts);
  const impossible = facts.refunds.filter((refund) => !possible.includes(refund));
  return {
    corrections: facts.payments.flatMap(correctionOf),
    refunds: possible.filter((refund) => observed || answerTo(refund) === REFUND),
    declined: possible.filter((refund) => answerTo(refund) === LEAVE),
    tasks: [
      ...facts.findings,
      ...impossible.map(({ payment, provider, money, keeps }) => ({
        payment,
        shows: true,
        why: `${provider} took ${money} again, as payment ${keeps.payment} before; no refund is configured for ${provider}: decide whether it goes back, and give it back there`,
      })),
    ],
  };
}

/** What makes the row of a payment agree with its provider, if that is allowed. */
export function correctionOf({ id, version, state, verdict, view }: JudgedPayment): Correction[] {
  if (verdict.kind !== 'correct' || state === null) return [];
  return [{ payment: id, version, from: state, to: verdict.to, because: view.detail }];
}

export function indexIsTask({ index }: PaymentFacts): boolean {
  return index.state === 'missing';
}

export function correctionText({ payment, from, to, because }: Correction): string {
  return `payment ${payment} from ${from} to ${to} (${because})`;
}

export function findingText({ payment, why }: Finding): string {
  return `payment ${payment}: ${why}`;
}

/** One line about every payment. */
export function factsText({ booking, bookingState, payments, refunds }: PaymentFacts): string {
  const each = payments.map(({ id, word, view }) => `${id} is ${word}, ${view.detail}`);
  const state = bookingState === null ? '' : ` (${bookingState})`;
  const twice = refunds.map(({ payment, money }) => `; ${money} taken again as payment ${payment}`);
  return `booking ${booking}${state}: ${each.join('; ')}${twice.join('')}`;
}

export function draftOf(
  place: Place,
  facts: PaymentFacts,
  decided: Decided,
  { observed, warnings }: { observed: boolean; warnings: string[] },
): PlanDraft {
  const target = targetOf(place);
  const { corrections, refunds, tasks } = decided;
  const actions: PlanDraft['actions'] = [];
  if (corrections.length > 0)
    actions.push({
      action: 'correct payments',
      target,
      count: corrections.length,
      detail: corrections.map(correctionText).join('; '),
    });
  for (const { payment, provider, reference, money, keeps } of refunds)
    actions.push({
      action: 'refund a payment',
      target: `${target}/${payment}`,
      detail: `${observed ? 'if a person then decides so: ' : ''}${money} through ${provider} (${reference}); payment ${keeps.payment} stays`,
    });
  if (corrections.length + refunds.length > 0) {
    const tell = 'tell the customer';
    actions.push({ action: facts.informs ? tell : `a task for a person: ${tell}`, target });
  }
  for (const task of tasks)
    actions.push({ action: 'a task for a person: a payment', target, detail: findingText(task) });
  if (indexIsTask(facts))
    actions.push({
      action: 'a task for a person: the unique index of webhooks',
      target,
      detail: `${facts.index.detail}: ${facts.index.statement}`,
    });
  return {
    actions,
    warnings: [
      ...warningsOf(facts, decided),
      ...(facts.index.state === 'unconfigured' ? [facts.index.detail] : []),
      ...facts.unconfigured,
      ...warnings,
    ],
    facts: {
      booking: facts.booking,
      // Versions are compared when a row is locked.
      corrections: digest(corrections.map(({ version: _, ...rest }) => rest)),
      refunds: digest(refunds),
      tasks: digest(tasks),
    },
  };
}

function warningsOf({ payments, bookingState }: PaymentFacts, { declined, corrections }: Decided): string[] {
  const unhashed = payments.filter(({ state, hashed }) => state === 'succeeded' && hashed === false);
  const state = bookingState === null ? '' : `, which is ${bookingState}`;
  return [
    ...(corrections.some(({ to }) => to === 'succeeded')
      ? [`the booking${state}, stays as it is: confirming it is a flow of its own`]
      : []),
    ...declined.map(({ payment, money }) => `${money} of payment ${payment} stays with us, as decided`),
    ...(unhashed.length > 0
      ? [
          `applied without the hash of a webhook, so past the index: ${countOf(unhashed.length, 'payment')} (${unhashed.map(({ id }) => id).join(', ')})`,
        ]
      : []),
  ];
}
