import { targetOf, type Place } from '../../contract/place';
import type { PaymentState } from '../../contract/payments';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { jsonOf, requireOk } from '../support/http';
import { mapTexts, shortened, valueAt, type Json } from '../support/json';
import { exchange } from '../support/operation/exchange';
import type { PaymentRow } from './rows';
import { providersOf, type ProviderConfig } from './settings';

/** What the provider says of one payment. */
export interface ProviderView {
  /** Null where that is not known; `detail` says why. */
  state: PaymentState | null;
  /** In the smallest unit of the currency; null where the provider is not asked for it. */
  amount: number | null;
  currency: string | null;
  refunded: number | null;
  detail: string;
}

const NOT_KNOWN = { state: null, amount: null, currency: null, refunded: null };

/**
 * Asks the provider of a payment. That it has no such payment, or calls its state by a word that nobody has explained,
 * is a fact. Throws HttpFailed (no answer and 5xx are tried again), and ProviderUnclear where the answer is of another shape.
 */
export async function readProvider(
  deps: ActivityDeps,
  place: Place,
  { id, booking, provider, reference }: Pick<PaymentRow, 'id' | 'booking' | 'provider' | 'reference'>,
): Promise<ProviderView> {
  if (reference === null) return { ...NOT_KNOWN, detail: 'it has no reference of a provider' };
  const config = providersOf(deps, place).providers[provider];
  if (config === undefined) return { ...NOT_KNOWN, detail: `how ${provider} is asked is not configured` };
  const call = {
    action: `ask ${provider} for payment ${id} of ${targetOf(place)}`,
    parameters: { service: place.service, environment: place.environment, payment: id, booking, reference },
    directory: deps.config.directory,
  };
  return exchange(config.read, call, (answer, clean) => {
    if (answer.status === 404)
      return {
        ...NOT_KNOWN,
        detail: `${provider} answers 404: it has no such payment, or is asked at a wrong address`,
      };
    requireOk(answer);
    const json = jsonOf(answer);
    checkSubject(provider, config, reference, json);
    return viewOf(provider, config, mapTexts(json, clean));
  });
}

/** Throws ProviderUnclear for an answer about another payment, or from another place than the one that is meant. */
function checkSubject(
  provider: string,
  { read: { fields, expect } }: ProviderConfig,
  reference: string,
  json: Json,
): void {
  const wanted = { ...expect, ...(fields.reference === undefined ? {} : { [fields.reference]: reference }) };
  for (const [path, value] of Object.entries(wanted)) {
    const said = valueAt(json, path);
    // Keys that are numbers are texts in the application.
    if (said === value || (typeof said === 'number' && String(said) === value)) continue;
    throw fail(
      'ProviderUnclear',
      `${provider} was asked for ${reference} and says ${saidText(said)} at "${path}", where ${JSON.stringify(value)} is expected: it speaks of another payment, or with the key of another account or mode. Nothing was changed; correct its address, its key or read.expect in the configuration.`,
    );
  }
}

function viewOf(provider: string, { states, read: { fields } }: ProviderConfig, json: Json): ProviderView {
  const word = valueAt(json, fields.status);
  if (typeof word !== 'string' || word === '') throw unclear(provider, 'status', word);
  const said = Object.hasOwn(states, word) ? states[word]! : null;
  // What was taken is known of what was taken.
  const needed = said === 'succeeded' || said === 'refunded';
  const at = (name: 'amount' | 'currency' | 'refunded'): Json | undefined => {
    const path = fields[name];
    const value = path === undefined ? undefined : valueAt(json, path);
    if (path !== undefined && needed && (value === undefined || value === null))
      throw unclear(provider, name, value);
    return value ?? undefined;
  };
  const money = {
    amount: moneyOf(provider, 'amount', at('amount')),
    currency: currencyOf(provider, at('currency')),
    refunded: moneyOf(provider, 'refunded', at('refunded')),
  };
  if (said === null)
    return {
      ...money,
      state: null,
      detail: `${provider} says "${word.slice(0, 100)}", which nobody has explained`,
    };
  const { amount, refunded } = money;
  if (said === 'refunded' && refunded !== null && refunded < (amount ?? 1))
    return {
      ...money,
      state: null,
      detail: `${provider} says refunded, and has given back ${refunded} of ${amount ?? 'an unknown amount'}`,
    };
  // Many go on calling it succeeded.
  if (said !== 'succeeded' || refunded === null || refunded === 0)
    return { ...money, state: said, detail: `${provider} says ${said}` };
  if (amount !== null && refunded >= amount)
    return { ...money, state: 'refunded', detail: `${provider} says refunded` };
  const part = `${provider} has given back ${refunded} of ${amount ?? 'an unknown amount'}`;
  return { ...money, state: null, detail: part };
}

/** Whole numbers, also where they are sent as texts. Null where nobody asks for them. */
function moneyOf(provider: string, name: string, value: Json | undefined): number | null {
  if (value === undefined) return null;
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw unclear(provider, name, value);
}

function currencyOf(provider: string, value: Json | undefined): string | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && /^[A-Za-z]{3}$/.test(value)) return value.toUpperCase();
  throw unclear(provider, 'currency', value);
}

function unclear(provider: string, name: string, value: Json | undefined): Error {
  return fail(
    'ProviderUnclear',
    `${provider} says ${saidText(value)} for "${name}"; a status is a text, a currency three letters, an amount a whole number of its smallest unit. Nothing was changed; correct read.fields.${name} of this provider in the configuration.`,
  );
}

function saidText(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(shortened(value)).slice(0, 100);
}
