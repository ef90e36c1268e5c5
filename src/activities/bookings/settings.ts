import { z } from 'zod';
import { commandSchema, secretText } from '../../config/primitives';
import type { ServiceConfig } from '../../config/schema';
import { serviceOf } from '../../config/load';
import { auditTable, column, identifier, state, tableOf } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';

const tablesSchema = z
  .strictObject({
    bookings: tableOf('bookings', {
      slot: column('slot_id'),
      status: column('status'),
      createdAt: column('created_at'),
      confirmedAt: identifier.optional().describe('without it the first one created counts as the first'),
      expiresAt: identifier.optional().describe('until when a hold is good; releaseStuckHolds needs it'),
      customer: identifier.optional(),
      idempotencyKey: identifier.optional().describe('the key of the request that it was made for'),
    }).prefault({}),
    slots: tableOf('slots', { status: column('status') })
      .optional()
      .describe('what is sold; without it nothing is released'),
    links: tableOf('action_tokens', { booking: column('booking_id'), usedAt: column('used_at') })
      .optional()
      .describe('what lets a customer act on a booking; void when it ends'),
    audit: auditTable.optional(),
  })
  .describe('tables and columns of the application');

const statesSchema = z
  .strictObject({
    held: state('held'),
    confirmed: state('confirmed'),
    cancelled: state('cancelled'),
    expired: state('expired'),
    open: state('open').describe('of a slot'),
    reserved: state('reserved').describe('of a slot'),
  })
  .describe('what the application calls its states');

const auditSchema = z.strictObject({
  entityType: z.string().default('booking'),
  source: z.string().default('system'),
  cancelled: z.string().default('booking_cancelled'),
  expired: z.string().default('booking_expired'),
  restored: z.string().default('booking_restored').describe('an undo; what it takes back stays written down'),
});

const workerSchema = z
  .strictObject({
    url: secretText.describe('answers JSON to a GET, e.g. /api/health/detailed'),
    headers: z.record(z.string(), secretText).default({}),
    field: z.string().min(1).describe('dot path of the ISO time of its last run'),
    maxAgeSeconds: z.number().positive().default(120).describe('older than this: it has stopped'),
    timeoutMs: z.number().positive().max(30_000).default(5_000),
    restart: commandSchema.optional().describe('starts it again; running it twice is harmless'),
  })
  .describe('the job that releases holds in time');

export const bookingsSchema = z
  .strictObject({
    role: identifier
      .optional()
      .describe(
        'rows are repaired as this role, of which that of the runbooks is a member and which can write nothing else',
      ),
    batchRows: z.number().int().min(1).max(5_000).default(100).describe('rows of one transaction'),
    tables: tablesSchema,
    states: statesSchema.prefault({}),
    audit: auditSchema.prefault({}).describe('what its rows say'),
    keep: z
      .enum(['first-confirmed', 'ask'])
      .default('first-confirmed')
      .describe('which of several bookings of one slot stays'),
    uniqueIndex: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('the index that keeps a slot from being sold twice'),
    createIndex: z
      .boolean()
      .default(true)
      .describe('build that index where it is missing; otherwise it becomes a task for a person'),
    recentChanges: commandSchema
      .optional()
      .describe('prints recent changes of the code that confirms bookings, newest first, e.g. git log'),
    maxHolds: z.number().int().min(1).max(100_000).default(5_000).describe('cap on the holds of one run'),
    graceSeconds: z
      .number()
      .min(0)
      .default(60)
      .describe('how long past its end a hold is left to the job that releases holds'),
    expiryWorker: workerSchema.optional(),
  })
  .describe('bookings of slots, and how their rows are repaired');

export type BookingsConfig = z.infer<typeof bookingsSchema>;

export const bookingsSettings = { service: z.object({ bookings: bookingsSchema.optional() }) };

/** The section of a service. Throws InvalidInput where there is none: nobody may guess whose rows are bookings. */
export function bookingsOf({ config }: ActivityDeps, service: string): BookingsConfig {
  const { bookings } = serviceOf(config, service) as ServiceConfig & { bookings?: BookingsConfig };
  if (bookings !== undefined) return bookings;
  throw fail(
    'InvalidInput',
    `services.${service}.bookings is missing in runbooks.yaml: it names the tables of bookings. Add it, then start again.`,
  );
}
