import { z } from 'zod';
import { environmentOf, serviceOf } from '../../../config/load';
import { operationSchema } from '../../../config/http-operation-schema';
import { placeholdersOf } from '../../../config/placeholders';
import { targetOf, type Place } from '../../../contract/place';
import { column, identifier, tableOf } from '../../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { PROBE } from '../stripe/settings';

const words = (...known: string[]) => z.array(z.string().min(1)).min(1).default(known);

const tablesSchema = z
  .strictObject({
    events: tableOf('webhook_events', {
      event: column('event_id').describe("the provider's own ID of the event"),
      status: column('status'),
      error: identifier.optional().describe('why it failed last'),
      hash: identifier.optional().describe('of the payload: two with one are one event'),
      kind: identifier.optional().describe('what has happened, e.g. payment.succeeded'),
      receivedAt: identifier.optional().describe('the oldest are replayed first; without it by `id`'),
    }).prefault({}),
    ledger: tableOf('ledger_entries', { event: column('event_id') }).optional(),
    payouts: tableOf('payout_jobs', { status: column('status'), dueAt: column('run_at') }).optional(),
  })
  .describe('tables and columns of the application; only read');

export const paymentWebhooksSchema = z
  .strictObject({
    tables: tablesSchema.prefault({}),
    states: z
      .strictObject({
        failed: words('failed', 'error'),
        applied: words('processed', 'applied', 'succeeded'),
      })
      .refine(({ failed, applied }) => !failed.some((word) => applied.includes(word)), {
        message: 'each word in one of them only',
      })
      .prefault({})
      .describe('what the application calls the states of an event; another one is still under way'),
    ledger: z
      .strictObject({
        kinds: z.array(z.string().min(1)).min(1).describe('of events that have entries of their own'),
        entries: z.number().int().min(1).default(1).describe('of each such event, exactly'),
        days: z.number().positive().max(366).default(30).describe('how far back, with receivedAt'),
      })
      .optional(),
    payouts: z
      .strictObject({
        open: words('pending', 'scheduled').describe('what a payout job is that has not run'),
        graceMinutes: z.number().min(0).max(10_080).default(15),
      })
      .prefault({}),
  })
  .refine(({ tables, ledger }) => (tables.ledger === undefined) === (ledger === undefined), {
    path: ['ledger'],
    message: 'together with tables.ledger, or neither',
  })
  .refine(({ tables, ledger }) => ledger === undefined || tables.events.columns.kind !== undefined, {
    path: ['tables', 'events', 'columns', 'kind'],
    message: 'needed by ledger.kinds',
  })
  .describe('webhooks of payments that the application has received, and what follows from them');

const REPLAY = ['service', 'environment', 'id', 'event', 'fencingToken'];

export const environmentPaymentWebhooksSchema = z
  .strictObject({
    replay: operationSchema(REPLAY)
      .refine((operation) => placeholdersOf(operation).some((name) => name === 'id' || name === 'event'), {
        message: 'with {id} or {event}: else nobody knows which one is meant',
      })
      .describe('has the application apply one event of its log, which does nothing where it was applied'),
    probe: operationSchema(PROBE)
      .optional()
      .describe('a signed event that means nothing, to the receiver of the application'),
    maxEvents: z.number().int().min(1).max(500).default(200).describe('of one run, the oldest first'),
    pauseSeconds: z.number().min(0).max(60).default(0.1).describe('between two of them'),
    maxRounds: z.number().int().min(1).max(10).default(3),
    patienceSeconds: z
      .number()
      .positive()
      .max(1_800)
      .default(60)
      .describe('how long after a round events may take to be applied'),
    lookEverySeconds: z.number().positive().max(300).default(5),
  })
  .describe('how events are replayed in this environment');

export type PaymentWebhooksConfig = z.infer<typeof paymentWebhooksSchema>;
export type EnvironmentPaymentWebhooksConfig = z.infer<typeof environmentPaymentWebhooksSchema>;

/** The section of a service. Throws InvalidInput where there is none: nobody may guess what was applied. */
export function webhookLogOf({ config }: ActivityDeps, service: string): PaymentWebhooksConfig {
  const { paymentWebhooks } = serviceOf(config, service) as { paymentWebhooks?: PaymentWebhooksConfig };
  if (paymentWebhooks !== undefined) return paymentWebhooks;
  throw fail(
    'InvalidInput',
    `services.${service}.paymentWebhooks is missing in runbooks.yaml: it names the event log of payment webhooks. Add it, then start again.`,
  );
}

/** That of an environment. Throws InvalidInput where there is none. */
export function webhookReplayOf({ config }: ActivityDeps, place: Place): EnvironmentPaymentWebhooksConfig {
  const { service, environment } = place;
  const { paymentWebhooks } = environmentOf(config, service, environment) as {
    paymentWebhooks?: EnvironmentPaymentWebhooksConfig;
  };
  if (paymentWebhooks !== undefined) return paymentWebhooks;
  throw fail(
    'InvalidInput',
    `services.${service}.environments.${environment}.paymentWebhooks is missing in runbooks.yaml: it says how ${targetOf(place)} replays an event. Add it, then start again.`,
  );
}
