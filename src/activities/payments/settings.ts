import { z } from 'zod';
import { environmentOf, serviceOf } from '../../config/load';
import { operationSchema, operationWith } from '../../config/http-operation-schema';
import type { EnvironmentConfig, ServiceConfig } from '../../config/schema';
import { PAYMENT_STATES } from '../../contract/payments';
import { placeholdersOf } from '../../config/placeholders';
import { targetOf, type Place } from '../../contract/place';
import { auditTable, column, identifier, state, tableOf } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { environmentStripeSchema, stripeSchema } from './stripe/settings';
import { environmentPaymentWebhooksSchema, paymentWebhooksSchema } from './webhooks/settings';

const meaning = z.enum(PAYMENT_STATES);

const tablesSchema = z
  .strictObject({
    payments: tableOf('payments', {
      booking: column('booking_id'),
      status: column('status'),
      provider: column('provider'),
      reference: column('provider_ref').describe("the provider's own key of the payment"),
      createdAt: column('created_at'),
      amount: identifier
        .optional()
        .describe(
          'in the smallest unit of the currency; without it no amounts are compared, nothing refunded',
        ),
      currency: identifier.optional(),
      webhookHash: identifier
        .optional()
        .describe(
          'hash of the webhook that was applied; its unique index keeps one from being applied twice',
        ),
      updatedAt: identifier.optional().describe('set along with the status'),
    }).prefault({}),
    bookings: tableOf('bookings', { status: column('status') })
      .optional()
      .describe('only read, for the report: a payment never changes a booking'),
    audit: auditTable.optional(),
  })
  .describe('tables and columns of the application');

const statesSchema = z
  .strictObject({
    created: state('created'),
    pending: state('pending'),
    succeeded: state('succeeded'),
    failed: state('failed'),
    refunded: state('refunded'),
  })
  .refine((states) => new Set(Object.values(states)).size === PAYMENT_STATES.length, {
    message: 'a word of its own for each: else a payment that was refunded may count as one that failed',
  })
  .describe('what the application calls its states');

const next = (...states: (typeof PAYMENT_STATES)[number][]) => z.array(meaning).default(states);

const transitionsSchema = z
  .strictObject({
    created: next('pending', 'succeeded', 'failed'),
    pending: next('succeeded', 'failed'),
    succeeded: next('refunded'),
    failed: next('succeeded'),
    refunded: next(),
  })
  .describe("which state may follow which: the same as in the application's own code");

const auditSchema = z.strictObject({
  entityType: z.string().default('payment'),
  source: z.string().default('system'),
  reconciled: z.string().default('payment_reconciled'),
  refunded: z.string().default('payment_refunded'),
  restored: z.string().default('payment_restored').describe('an undo; what it takes back stays written down'),
  applied: z
    .string()
    .default('payment_succeeded')
    .describe('what the application writes when a webhook is applied; more than once is a replay'),
});

export const paymentsSchema = z
  .strictObject({
    role: identifier
      .optional()
      .describe(
        'rows are changed as this role, of which that of the runbooks is a member and which can write nothing else',
      ),
    tables: tablesSchema.prefault({}),
    states: statesSchema.prefault({}),
    transitions: transitionsSchema.prefault({}),
    audit: auditSchema.prefault({}).describe('what its rows say'),
    maxPayments: z.number().int().min(1).max(100).default(20).describe('cap on the payments of one booking'),
  })
  .describe('payments of bookings, and how their rows are put right');

/** A number or a text of the provider's answer; the amounts are in the smallest unit of the currency. */
const viewFields = {
  fields: z
    .strictObject({
      status: z.string().min(1),
      reference: z
        .string()
        .min(1)
        .optional()
        .describe("the provider's own key again: an answer about another payment is refused"),
      amount: z.string().min(1).optional().describe('what was taken'),
      currency: z.string().min(1).optional(),
      refunded: z.string().min(1).optional().describe('what of it was given back'),
    })
    .describe('dot paths in the answer'),
  expect: z
    .record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe('what must stand at other dot paths of every answer, e.g. livemode: true'),
};

const REFERENCE = ['service', 'environment', 'payment', 'booking', 'reference'];
const MONEY = ['amount', 'currency', 'key'];
const REFUND = [...REFERENCE, ...MONEY, 'fencingToken'];
const INFORM = ['service', 'environment', 'payment', 'booking', ...MONEY, 'outcome'];

const namesPayment = (operation: object): boolean =>
  placeholdersOf(operation).some((name) => name === 'reference' || name === 'payment');

const providerSchema = z
  .strictObject({
    read: operationWith(REFERENCE, viewFields)
      .refine(({ success }) => Object.keys(success).length === 0, {
        path: ['success'],
        message: 'not here: `states` say what an answer means',
      })
      .describe('what the provider says of one payment; 404 means that it has none'),
    states: z
      .record(z.string().min(1), meaning)
      .describe('what the words of the provider mean; another word is left to a person'),
    refund: operationSchema(REFUND)
      .optional()
      .describe(
        'gives {amount} back; {key} is the same for every attempt of every run, as an idempotency key',
      ),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(60)
      .describe('how long after a refund the provider may still show the payment as before'),
  })
  .refine(
    ({ refund, read, states }) =>
      refund === undefined ||
      (read.fields.amount !== undefined &&
        (read.fields.refunded !== undefined || Object.values(states).includes('refunded'))),
    {
      path: ['refund'],
      message:
        'with read.fields.amount, and with read.fields.refunded or a state that means refunded: else nobody sees what came of it',
    },
  )
  .refine(({ refund }) => refund === undefined || placeholdersOf(refund).includes('key'), {
    path: ['refund'],
    message: 'with {key}, as the idempotency key: else an answer that is lost refunds twice',
  })
  .refine(({ refund }) => refund?.idempotencyKey === undefined, {
    path: ['refund', 'idempotencyKey'],
    message: 'not here, it is another one for every run: {key} in `headers`',
  })
  .refine(({ read }) => namesPayment(read), {
    path: ['read'],
    message: 'with {reference} or {payment}: else every payment of a booking gets the same answer',
  })
  .refine(({ refund }) => refund === undefined || namesPayment(refund), {
    path: ['refund'],
    message: 'with {reference} or {payment}: else nobody knows which payment goes back',
  });

export const environmentPaymentsSchema = z
  .strictObject({
    providers: z.record(z.string().min(1), providerSchema).describe('by the word in the column of providers'),
    inform: operationSchema(INFORM)
      .optional()
      .describe('tells the customer; {outcome} is the new state; without it that is a task for a person'),
  })
  .refine(({ inform }) => inform === undefined || placeholdersOf(inform).includes('key'), {
    path: ['inform'],
    message: 'with {key}, as the idempotency key: else an answer that is lost tells the customer twice',
  })
  .describe('who takes the money of this environment');

export type PaymentsConfig = z.infer<typeof paymentsSchema>;
export type ProviderConfig = z.infer<typeof providerSchema>;
export type EnvironmentPaymentsConfig = z.infer<typeof environmentPaymentsSchema>;

export const paymentsSettings = {
  service: z.object({
    payments: paymentsSchema.optional(),
    stripe: stripeSchema.optional(),
    paymentWebhooks: paymentWebhooksSchema.optional(),
  }),
  environment: z.object({
    payments: environmentPaymentsSchema.optional(),
    stripe: environmentStripeSchema.optional(),
    paymentWebhooks: environmentPaymentWebhooksSchema.optional(),
  }),
};

/** The section of a service. Throws InvalidInput where there is none: nobody may guess whose rows are payments. */
export function paymentsOf({ config }: ActivityDeps, service: string): PaymentsConfig {
  const { payments } = serviceOf(config, service) as ServiceConfig & { payments?: PaymentsConfig };
  if (payments !== undefined) return payments;
  throw fail(
    'InvalidInput',
    `services.${service}.payments is missing in runbooks.yaml: it names the table of payments. Add it, then start again.`,
  );
}

/** Those of an environment. Throws InvalidInput where there are none: without them nothing is known of the money. */
export function providersOf({ config }: ActivityDeps, place: Place): EnvironmentPaymentsConfig {
  const { service, environment } = place;
  const { payments } = environmentOf(config, service, environment) as EnvironmentConfig & {
    payments?: EnvironmentPaymentsConfig;
  };
  if (payments !== undefined) return payments;
  throw fail(
    'InvalidInput',
    `services.${service}.environments.${environment}.payments is missing in runbooks.yaml: it says how the providers of ${targetOf(place)} are asked. Add it, then start again.`,
  );
}
