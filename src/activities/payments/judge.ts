import type { PaymentState } from '../../contract/payments';
import type { ProviderView } from './provider';
import type { AuditEntry, PaymentRow } from './rows';
import type { PaymentsConfig } from './settings';

/** A payment, what its provider says, and what follows. */
export interface JudgedPayment extends PaymentRow {
  view: ProviderView;
  verdict: Verdict;
}

/** `differs` and `unknown` are left to a person. */
export type Verdict =
  | { kind: 'agrees' }
  | { kind: 'correct'; to: PaymentState }
  | { kind: 'differs'; why: string }
  | { kind: 'unknown'; why: string };

/** A payment that the provider took again for the same booking. */
export interface Refund {
  payment: string;
  provider: string;
  reference: string;
  amount: number;
  currency: string;
  /** For people, e.g. `12.00 EUR`. */
  money: string;
  /** The payment that stays. */
  keeps: { payment: string; provider: string; reference: string };
}

/** Something that only a person can put right, or explain. */
export interface Finding {
  payment: string;
  /** Whether it shows when somebody has put it right. */
  shows: boolean;
  why: string;
}

const OPEN: PaymentState[] = ['created', 'pending'];
const PAID: PaymentState[] = ['succeeded', 'refunded'];

/** What follows from a row and the provider's view of it. Only transitions that the application allows are proposed. */
export function judge(
  row: PaymentRow,
  view: ProviderView,
  transitions: PaymentsConfig['transitions'],
): Verdict {
  const { state, word, reference } = row;
  if (state === null)
    return { kind: 'unknown', why: `the application calls it "${word}", which nobody has explained` };
  // Nobody has tried to pay.
  if (reference === null && state === 'created') return { kind: 'agrees' };
  if (view.state === null) return { kind: 'unknown', why: view.detail };
  if (PAID.includes(view.state) && row.sharedWith.length > 0)
    return {
      kind: 'differs',
      why: `booking ${row.sharedWith.join(', ')} has a payment ${reference} of ${row.provider} as well, and it was paid for one of them`,
    };
  const money = PAID.includes(view.state) ? moneyDiffers(row, view) : undefined;
  if (money !== undefined) return { kind: 'differs', why: money };
  if (view.state === state) return { kind: 'agrees' };
  if (transitions[state].includes(view.state)) return { kind: 'correct', to: view.state };
  // Neither says that money has moved.
  if (OPEN.includes(state) && OPEN.includes(view.state)) return { kind: 'agrees' };
  return {
    kind: 'differs',
    why: `${view.detail}, the application ${state}, and it allows no payment to go from ${state} to ${view.state}`,
  };
}

/**
 * Several rows of one payment: an attempt that failed and the one that paid, or one row too many. What the provider says
 * is true of one of them, and nobody knows of which.
 */
export function withoutDoubles(payments: JudgedPayment[]): JudgedPayment[] {
  return payments.map((payment) => {
    const { id, provider, reference, verdict, view } = payment;
    if (verdict.kind !== 'correct' || reference === null) return payment;
    const others = payments.filter(
      (one) => one.id !== id && one.provider === provider && one.reference === reference,
    );
    if (others.length === 0) return payment;
    // Once one of them has it, only a person can say that the rest may stay as they are.
    const kind = others.some((one) => one.verdict.kind === 'agrees') ? 'unknown' : 'differs';
    const why = `it and payment ${others.map((one) => one.id).join(', ')} are one and the same for ${provider}: ${view.detail}, and that is true of one row`;
    return { ...payment, verdict: { kind, why } };
  });
}

function moneyDiffers(row: PaymentRow, view: ProviderView): string | undefined {
  if (row.amount !== null && view.amount !== null && row.amount !== view.amount)
    return `${row.provider} took ${view.amount}, and the application has ${row.amount}`;
  if (row.currency !== null && view.currency !== null && row.currency !== view.currency)
    return `${row.provider} took ${view.currency}, and the application has ${row.currency}`;
  return undefined;
}

/**
 * Payments that a provider took more than once for one booking: the same amount under references of its own. The first one
 * that the application has applied stays. What cannot be told for sure is a finding and no refund.
 */
export function findRefunds(payments: JudgedPayment[]): { refunds: Refund[]; findings: Finding[] } {
  const refunds: Refund[] = [];
  const findings: Finding[] = [];
  const taken = payments
    .filter(({ view, verdict }) => view.state === 'succeeded' && /agrees|correct/.test(verdict.kind))
    .sort((a, b) => Number(b.state === 'succeeded') - Number(a.state === 'succeeded'));
  const kept: JudgedPayment[] = [];
  for (const [index, payment] of taken.entries()) {
    const { id, provider, reference, amount, currency, view } = payment;
    const before = taken.slice(0, index);
    const one = before.find((other) => other.provider === provider && other.reference === reference);
    const same = kept.find((other) => sameMoney(other, payment));
    if (one !== undefined)
      findings.push({
        payment: id,
        shows: true,
        why: `it and payment ${one.id} are one and the same for ${provider}, which took the money once: there is nothing to refund, and one row too many`,
      });
    else if (same === undefined) kept.push(payment);
    else if ([amount, currency, view.amount, same.amount, same.currency].includes(null))
      findings.push({
        payment: id,
        shows: true,
        why: `${provider} took it as well as payment ${same.id}, and nobody can say whether for the same: the application has no amount or no currency of it`,
      });
    else
      refunds.push({
        payment: id,
        provider,
        reference: reference!,
        amount: amount!,
        currency: currency!,
        money: moneyText(amount!, currency!),
        keeps: { payment: same.id, provider: same.provider, reference: same.reference! },
      });
  }
  return { refunds, findings };
}

/** What the application does not know, the provider may. */
function sameMoney(one: JudgedPayment, other: JudgedPayment): boolean {
  const [a, b] = [one, other].map(({ amount, currency, view }) => ({
    amount: amount ?? view.amount,
    currency: currency ?? view.currency,
  }));
  return a!.amount === b!.amount && a!.currency === b!.currency;
}

/** What is left to people, and what they should hear about the payments that are well. */
export function findingsOf(
  payments: JudgedPayment[],
  audit: AuditEntry[],
  { audit: { applied } }: PaymentsConfig,
): Finding[] {
  return payments.flatMap(({ id, verdict, sameHash }) => {
    const times = audit.filter(({ payment, action }) => payment === id && action === applied).length;
    return [
      ...(verdict.kind === 'differs' ? [{ payment: id, shows: true, why: verdict.why }] : []),
      ...(verdict.kind === 'unknown' ? [{ payment: id, shows: false, why: verdict.why }] : []),
      ...(sameHash.length === 0
        ? []
        : [
            {
              payment: id,
              shows: true,
              why: `the same webhook was applied to payment ${sameHash.join(', ')} as well`,
            },
          ]),
      ...(times < 2
        ? []
        : [
            {
              payment: id,
              shows: false,
              why: `the audit trail has "${applied}" ${times} times: what that set off beside the payment is there more than once`,
            },
          ]),
    ];
  });
}

/** `12.00 EUR`, and `1200 JPY`, of an amount in the smallest unit. */
export function moneyText(amount: number, currency: string): string {
  if (!/^[A-Z]{3}$/.test(currency)) return `${amount} ${currency}`;
  const format = new Intl.NumberFormat('en', { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 0;
  return `${(amount / 10 ** digits).toFixed(digits)} ${currency}`;
}
