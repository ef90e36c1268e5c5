/**
 * A provider that takes money, beside the application: as much of Stripe's interface as a reconciliation needs. What it
 * knows is in payments.json, in the folder of the state; without a folder it knows nothing.
 */
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { sameText } from '../shared/secrets';
import { readState, writeState } from '../shared/state-file';

/** A payment, as the provider has it. Amounts are in the smallest unit of the currency. */
export interface Intent {
  status: 'requires_payment_method' | 'processing' | 'succeeded' | 'canceled';
  amount: number;
  currency: string;
  refunded: number;
}

export interface ProviderState {
  intents: Record<string, Intent>;
  /** By idempotency key. */
  refunds: Record<string, { id: string; intent: string; amount: number }>;
  /** What customers were told, by idempotency key. */
  messages: Record<string, { booking: string; payment: string; outcome: string; amount: number }>;
}

const fileIn = (directory: string): string => join(directory, 'payments.json');

export function readProviderState(directory: string): ProviderState {
  return { intents: {}, refunds: {}, messages: {}, ...readState<Partial<ProviderState>>(fileIn(directory)) };
}

/** Has the provider know these payments, beside those that it knows. */
export function setIntents(directory: string, intents: Record<string, Intent>): void {
  const state = readProviderState(directory);
  writeState(fileIn(directory), { ...state, intents: { ...state.intents, ...intents } });
}

interface Call {
  Params: { id: string };
  Headers: { 'idempotency-key'?: string };
}

/** Answers below /provider, for whoever has the key. */
export function addPaymentProvider(server: FastifyInstance, key: string, directory?: string): void {
  const read = () =>
    directory === undefined ? { intents: {}, refunds: {}, messages: {} } : readProviderState(directory);
  const write = (state: ProviderState): void => {
    if (directory !== undefined) writeState(fileIn(directory), state);
  };
  void server.register(
    async (provider) => {
      provider.addHook('onRequest', async (request, reply) => {
        if (!sameText(request.headers.authorization ?? '', `Bearer ${key}`))
          return refuse(reply, 401, 'a key is needed');
      });
      provider.addContentTypeParser(
        'application/x-www-form-urlencoded',
        { parseAs: 'string' },
        (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
      );
      provider.get<Call>('/v1/payment_intents/:id', ({ params: { id } }, reply) => {
        const intent = read().intents[id];
        return intent === undefined
          ? refuse(reply, 404, `no such payment_intent: ${id}`)
          : intentAnswer(id, intent);
      });
      provider.post<Call & { Body: { payment_intent?: string; amount?: string } }>(
        '/v1/refunds',
        ({ body, headers }, reply) => {
          const state = read();
          const { payment_intent: id = '', amount: given } = body;
          const idempotencyKey = headers['idempotency-key'] ?? `none-${Object.keys(state.refunds).length}`;
          const before = state.refunds[idempotencyKey];
          if (before !== undefined) return refundAnswer(before);
          const intent = state.intents[id];
          if (intent === undefined) return refuse(reply, 404, `no such payment_intent: ${id}`);
          const amount = Number(given ?? intent.amount - intent.refunded);
          if (intent.status !== 'succeeded' || !(amount > 0) || intent.refunded + amount > intent.amount)
            return refuse(reply, 400, `${id} cannot be refunded by ${amount}`);
          const refund = { id: `re_${Object.keys(state.refunds).length + 1}`, intent: id, amount };
          intent.refunded += amount;
          write({ ...state, refunds: { ...state.refunds, [idempotencyKey]: refund } });
          return refundAnswer(refund);
        },
      );
      provider.post<Call & { Body: ProviderState['messages'][string] }>('/messages', ({ body, headers }) => {
        const state = read();
        const messages = { ...state.messages, [headers['idempotency-key'] ?? '']: body };
        write({ ...state, messages });
        return { taken: true };
      });
    },
    { prefix: '/provider' },
  );
}

function refuse(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.code(status).send({ error: { message } });
}

/** As with `expand[]=latest_charge`. */
function intentAnswer(id: string, { status, amount, currency, refunded }: Intent): object {
  const latest_charge = status === 'succeeded' ? { object: 'charge', amount_refunded: refunded } : null;
  // What was asked for is not what was taken: a capture may be of a part.
  const amount_received = status === 'succeeded' ? amount : 0;
  const livemode = true;
  return { id, object: 'payment_intent', livemode, status, amount, amount_received, currency, latest_charge };
}

function refundAnswer({ id, intent, amount }: ProviderState['refunds'][string]): object {
  return { id, object: 'refund', payment_intent: intent, amount, status: 'succeeded' };
}
