import { z } from 'zod';
import { operationSchema, operationWith } from '../../config/http-operation-schema';

const PLACE = ['service', 'environment'];

const path = (name: string) => z.string().min(1).default(name);

const itemSchema = z
  .strictObject({
    id: path('id'),
    state: path('state'),
    attempts: path('attempts'),
    endpoint: path('endpoint').describe('what `probe` calls it'),
    url: z.string().optional().describe('address of the endpoint; only its host is ever shown'),
    error: path('lastError').describe('why the last attempt failed; may be absent'),
    status: z.string().optional().describe('what the receiver answered to it, as a number'),
    dueAt: z.string().optional().describe('when it is tried again: a time with its zone'),
  })
  .describe('dot paths in one delivery');

const words = (...known: string[]) => z.array(z.string().min(1)).min(1).default(known);

const statesSchema = z
  .strictObject({
    waiting: words('pending', 'queued').describe('not tried yet'),
    failed: words('failed', 'retrying').describe('tried, and to be tried again'),
    succeeded: words('succeeded', 'delivered'),
    terminal: words('terminal', 'exhausted', 'discarded').describe('given up for good'),
  })
  .refine((states) => new Set(Object.values(states).flat()).size === Object.values(states).flat().length, {
    message: 'each word in one of them only',
  })
  .describe('what the application calls the states of a delivery');

export const webhooksSchema = z
  .strictObject({
    deliveries: operationWith([...PLACE, 'cursor'], {
      list: path('deliveries').describe('dot path of the list of deliveries'),
      item: itemSchema.prefault({}),
      next: z
        .string()
        .optional()
        .describe('dot path of the {cursor} of the next page; null, empty or absent on the last one'),
    }).describe('lists the deliveries that have not succeeded, e.g. GET /v0/webhooks'),
    delivery: operationWith([...PLACE, 'delivery'], {
      state: path('state'),
      attempts: path('attempts'),
      error: path('lastError'),
    })
      .optional()
      .describe('says what became of one that is no longer listed; 404: nobody knows'),
    states: statesSchema.prefault({}),
    run: operationSchema([...PLACE, 'fencingToken']).describe(
      'sends what is due once more, e.g. POST /v0/webhooks/deliveries/run; sending it twice is harmless',
    ),
    probe: operationWith([...PLACE, 'endpoint'], {
      status: path('status').describe('what the receiver answered; null where it did not'),
      error: path('error'),
    })
      .optional()
      .describe('has the application send one signed event to an endpoint, which means nothing there'),
    signatureHeader: z
      .string()
      .min(1)
      .optional()
      .describe('header in which receivers find the signature, for people'),
    maxAttempts: z
      .number()
      .int()
      .positive()
      .optional()
      .describe('after how many attempts the application gives up; more of them are a fault of its own'),
    maxDeliveries: z
      .number()
      .int()
      .min(1)
      .max(500)
      .default(200)
      .describe('failed deliveries of one run; the others are for the next one'),
    maxRounds: z.number().int().min(1).max(50).default(10),
    roundEverySeconds: z
      .number()
      .min(0)
      .max(600)
      .default(5)
      .describe('between two rounds, where `dueAt` says nothing else'),
    patienceSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(300)
      .describe('the longest wait for deliveries that are not due yet'),
  })
  .describe('webhooks that the application sends, and how failed ones are sent again');

export type WebhooksConfig = z.infer<typeof webhooksSchema>;

/** Sections of an environment. */
export const deliverySettings = { environment: z.object({ webhooks: webhooksSchema.optional() }) };
