import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import type { PaymentState } from '../../contract/payments';
import { databaseIn, targetOf, type Fence, type Place } from '../../contract/place';
import { runFencedChange } from '../postgres/session/fenced-change';
import { withClient } from '../postgres/session/connection';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { currentActivity } from '../support/heartbeat';
import { performOperation } from '../support/operation/perform';
import type { Refund } from './judge';
import { readProvider, type ProviderView } from './provider';
import { readPayments, type PaymentRow } from './rows';
import { paymentsOf, providersOf } from './settings';
import { readPaymentTables } from './tables';

export interface RefundInput extends Place {
  booking: string;
  refund: Refund;
  fence: Fence;
}

/** What came of a refund. */
export interface RefundSent {
  /** `unknown`: it was refunded when we came, perhaps by an attempt of ours that was lost. */
  sent: boolean | 'unknown';
  /** Why it was not sent: something is no longer as it was. */
  refused: string | null;
  detail: string;
}

export interface InformInput extends Place {
  booking: string;
  payment: string;
  /** What became of it. */
  outcome: PaymentState;
  amount: number | null;
  currency: string | null;
  /** First execution run ID: a customer hears of the same state again after another run. */
  run: string;
}

/** What reaches other people's money and mailboxes: nothing brings it back. */
export function createMoneyActivities(deps: ActivityDeps) {
  async function readRows(place: Place, payment: string): Promise<PaymentRow[]> {
    const config = paymentsOf(deps, place.service);
    const read = async (client: Client) =>
      readPayments(client, await readPaymentTables(client, place.service, config), config, { payment });
    const action = 'look at a payment before it is refunded';
    return withClient(deps, databaseIn(place), read, {
      identity: true,
      allRows: true,
      readOnly: true,
      action,
    });
  }

  return {
    /**
     * Gives a payment back that was taken twice, once and for all: it and the one that stays are looked at again right
     * before, in the application and at their providers, and nothing is sent where either is no longer as it was. The
     * idempotency key is the same for every attempt of every run. Throws InvalidInput, StaleFencingToken, FenceBusy,
     * HttpFailed, DatabaseUnreachable.
     */
    async refundPayment({ booking, refund, fence, ...place }: RefundInput): Promise<RefundSent> {
      const { payment, provider, reference, amount, currency, money, keeps } = refund;
      const config = providersOf(deps, place).providers[provider]?.refund;
      if (config === undefined)
        throw fail(
          'InvalidInput',
          `payments.providers.${provider}.refund of ${targetOf(place)} is missing in runbooks.yaml.`,
        );
      const rows = await readRows(place, payment);
      const row = rows.find(({ id }) => id === payment)!;
      const kept = rows.find(({ id }) => id === keeps.payment);
      // Of an attempt that was lost nobody knows what it did.
      const notSent = currentActivity().attempt > 1 ? 'unknown' : false;
      const refused = (detail: string): RefundSent => ({ sent: notSent, refused: detail, detail });
      const view = await readProvider(deps, place, { id: payment, booking, provider, reference });
      // Before anything else: the application may have heard of it by itself.
      if (view.state === 'refunded') return { sent: notSent, refused: null, detail: view.detail };
      if (row.booking !== booking || !isStill(row, refund))
        return refused(`the application has changed payment ${payment} since, and calls it ${row.word}`);
      if (kept === undefined || !isStill(kept, { ...refund, ...keeps }))
        return refused(
          `the application no longer has payment ${keeps.payment}, which stays, as succeeded with ${money}`,
        );
      const shared = [row, kept].find(({ sharedWith }) => sharedWith.length > 0);
      if (shared !== undefined)
        return refused(
          `booking ${shared.sharedWith.join(', ')} has a payment ${shared.reference} of ${shared.provider} as well since, and it was paid for one of them`,
        );
      const stays = await readProvider(deps, place, kept);
      if (stays.state !== 'succeeded' || !takes(stays, refund))
        return refused(`payment ${keeps.payment}, which stays, is no longer whole: ${viewText(stays)}`);
      if (view.state !== 'succeeded' || view.amount !== amount || !takes(view, refund))
        return refused(`payment ${payment} is another one: ${viewText(view)}`);
      const { detail } = await runFencedChange(
        deps,
        { ...place, fence },
        { operation: config },
        `refund payment ${payment}`,
        {
          payment,
          booking,
          reference,
          amount,
          currency,
          key: keyOf('refund', place, provider, reference, amount),
        },
      );
      return { sent: true, refused: null, detail };
    },

    /** Whether the provider shows that a payment was given back. Reads only. */
    async readRefund({
      refund,
      booking,
      ...place
    }: Omit<RefundInput, 'fence'>): Promise<{ refunded: boolean; detail: string }> {
      const { payment: id, provider, reference } = refund;
      const { state, detail } = await readProvider(deps, place, { id, booking, provider, reference });
      return { refunded: state === 'refunded', detail };
    },

    /**
     * Tells the customer what became of a payment. The idempotency key is the same for every attempt of a run. Throws
     * InvalidInput, HttpFailed.
     */
    async informCustomer({
      booking,
      payment,
      outcome,
      amount,
      currency,
      run,
      ...place
    }: InformInput): Promise<{ detail: string }> {
      const { inform } = providersOf(deps, place);
      const { service, environment } = place;
      if (inform === undefined)
        throw fail('InvalidInput', `payments.inform of ${targetOf(place)} is missing in runbooks.yaml.`);
      const { detail } = await performOperation(inform, {
        action: `tell the customer of booking ${booking} about payment ${payment}`,
        parameters: {
          service,
          environment,
          payment,
          booking,
          outcome,
          amount: amount ?? '',
          currency: currency ?? '',
          key: keyOf('inform', place, payment, outcome, run),
        },
        directory: deps.config.directory,
      });
      return { detail };
    },
  };
}

/** Whether a row is as it was when somebody decided. */
function isStill(
  row: PaymentRow,
  was: Pick<Refund, 'provider' | 'reference' | 'amount' | 'currency'>,
): boolean {
  const same = row.provider === was.provider && row.reference === was.reference;
  return same && row.state === 'succeeded' && row.amount === was.amount && row.currency === was.currency;
}

/** Whether a provider that says what it took says the same. */
function takes(view: ProviderView, { amount, currency }: Refund): boolean {
  return (view.amount ?? amount) === amount && (view.currency ?? currency) === currency;
}

function viewText({ detail, amount, currency }: ProviderView): string {
  return `${detail}, amount ${amount ?? 'unknown'}${currency === null ? '' : ` ${currency}`}`;
}

function keyOf(what: string, { service, environment }: Place, ...parts: (string | number)[]): string {
  const text = [what, service, environment, ...parts].join('\n');
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
