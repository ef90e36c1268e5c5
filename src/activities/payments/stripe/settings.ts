import { z } from 'zod';
import { environmentOf, serviceOf } from '../../../config/load';
import { operationSchema } from '../../../config/http-operation-schema';
import { secretText } from '../../../config/primitives';
import { targetOf, type Place } from '../../../contract/place';
import { auditTable, column, identifier, tableOf } from '../../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';

/** {probe} is another text for every test event. */
export const PROBE = ['service', 'environment', 'probe'];

const tablesSchema = z
  .strictObject({
    events: tableOf('stripe_events', {
      event: column('id').describe("Stripe's own ID of the event, evt_..."),
      status: identifier.optional().describe('without it every row is an event that was applied'),
    })
      .prefault({})
      .describe('what the application has recorded; only read'),
    subscriptions: tableOf('subscriptions', {
      reference: column('stripe_subscription_id').describe("Stripe's own ID, sub_..."),
      status: column('status'),
      customer: identifier.optional().describe("Stripe's own ID of the customer, cus_..."),
      periodEnd: identifier.optional().describe('end of the current period, a timestamp'),
      updatedAt: identifier.optional().describe('set along with the others'),
    })
      .optional()
      .describe('without it no subscription is compared'),
    audit: auditTable.optional(),
  })
  .describe('tables and columns of the application');

const auditSchema = z.strictObject({
  entityType: z.string().default('subscription'),
  source: z.string().default('system'),
  corrected: z.string().default('subscription_corrected'),
  restored: z
    .string()
    .default('subscription_restored')
    .describe('an undo; what it takes back stays written down'),
});

export const stripeSchema = z
  .strictObject({
    role: identifier
      .optional()
      .describe(
        'subscriptions are changed as this role, of which that of the runbooks is a member and which can write nothing else',
      ),
    batchRows: z.number().int().min(1).max(1_000).default(50).describe('rows of one transaction'),
    tables: tablesSchema.prefault({}),
    applied: z
      .array(z.string().min(1))
      .min(1)
      .default(['processed', 'applied', 'succeeded'])
      .describe('what events.columns.status says of an event that was applied'),
    words: z
      .record(z.string().min(1), z.string().min(1))
      .default({})
      .describe("what the application calls Stripe's states of a subscription, where it says otherwise"),
    audit: auditSchema.prefault({}).describe('what its rows say'),
  })
  .describe('what the application has of the events and subscriptions of Stripe');

export const environmentStripeSchema = z
  .strictObject({
    key: secretText.describe('secret or restricted key of this environment'),
    baseUrl: z.url().default('https://api.stripe.com').describe('another one for a simulator only'),
    livemode: z
      .boolean()
      .describe('whether real money is meant; a key or an event of the other mode is refused'),
    endpoint: z
      .string()
      .regex(/^we_\w+$/, 'the ID of a webhook endpoint, we_...')
      .describe('endpoint of the application, to which events are sent again'),
    types: z.array(z.string().min(1)).max(20).default([]).describe('of events; default: all'),
    days: z.number().positive().max(30).default(30).describe('how far back; Stripe lists 30 days at most'),
    graceSeconds: z
      .number()
      .min(0)
      .max(86_400)
      .default(300)
      .describe('younger events are still on their way by themselves'),
    maxEvents: z.number().int().min(1).max(500).default(200).describe('of one run, the oldest first'),
    pauseSeconds: z.number().min(0).max(60).default(0.25).describe('between two that are sent'),
    maxRounds: z.number().int().min(1).max(10).default(3),
    patienceSeconds: z
      .number()
      .positive()
      .max(1_800)
      .default(120)
      .describe('how long after a round events may take to be recorded'),
    lookEverySeconds: z.number().positive().max(300).default(5),
    probe: operationSchema(PROBE)
      .optional()
      .describe('a signed event that means nothing, to the endpoint of the application'),
  })
  .describe('how Stripe is asked about this environment');

export type StripeConfig = z.infer<typeof stripeSchema>;
export type EnvironmentStripeConfig = z.infer<typeof environmentStripeSchema>;

/** The section of a service. Throws InvalidInput where there is none: nobody may guess which events were applied. */
export function stripeTablesOf({ config }: ActivityDeps, service: string): StripeConfig {
  const { stripe } = serviceOf(config, service) as { stripe?: StripeConfig };
  if (stripe !== undefined) return stripe;
  throw fail(
    'InvalidInput',
    `services.${service}.stripe is missing in runbooks.yaml: it names the table of the events that were applied. Add it, then start again.`,
  );
}

/** That of an environment. Throws InvalidInput where there is none. */
export function stripeOf({ config }: ActivityDeps, place: Place): EnvironmentStripeConfig {
  const { service, environment } = place;
  const { stripe } = environmentOf(config, service, environment) as { stripe?: EnvironmentStripeConfig };
  if (stripe !== undefined) return stripe;
  throw fail(
    'InvalidInput',
    `services.${service}.environments.${environment}.stripe is missing in runbooks.yaml: it says how Stripe is asked about ${targetOf(place)}. Add it, then start again.`,
  );
}
