import { z } from 'zod';
import { operationSchema, operationWith } from '../../config/http-operation-schema';
import { plainName } from '../../config/primitives';
import { timeOf } from '../observe/reading';

const PLACE = ['service', 'environment'];
const CHANGE = [...PLACE, 'fencingToken'];

const path = (name: string) => z.string().min(1).default(name);
const words = (...known: string[]) => z.array(z.string().min(1)).min(1).default(known);

const itemSchema = z
  .strictObject({
    id: path('id').describe('may be absent where a provider has one connection only'),
    provider: path('provider').describe(
      'not read where the answer has an object with a key for each provider',
    ),
    state: path('status'),
    lastSync: path('lastSyncAt').describe('a time with its zone; null where it never synced'),
    error: path('lastError').describe('why the last sync failed; may be absent'),
    backlog: z.string().min(1).optional().describe('how many changes wait to be written back'),
  })
  .describe('dot paths in one connection');

const statesSchema = z
  .strictObject({
    connected: words('connected', 'active', 'ok'),
    expired: words('expired', 'token_expired', 'reauth_required'),
    disconnected: words('disconnected', 'revoked'),
    ignored: words('disabled', 'removed').describe(
      'disconnected on purpose: nobody is asked to reconnect these',
    ),
  })
  .refine((states) => new Set(Object.values(states).flat()).size === Object.values(states).flat().length, {
    message: 'each word in one of them only',
  })
  .describe('what the application calls the states of a connection');

const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;
const isMoment = (text: string) => /^\d{4}-/.test(text) && timeOf(text) !== undefined;

const busySchema = z
  .strictObject({
    name: z.string().min(1).max(100),
    resource: z.string().default('').describe('{resource} of `availability`, e.g. a room'),
    from: z.string(),
    to: z.string(),
  })
  .refine(
    ({ from, to }) =>
      (TIME_OF_DAY.test(from) && TIME_OF_DAY.test(to) && from !== to) ||
      (isMoment(from) && isMoment(to) && timeOf(from)! < timeOf(to)!),
    { message: 'from and to: 02:00 to 02:30 of each day in UTC, or two times with their zones' },
  )
  .describe('a time that is taken in a connected calendar, so that nobody may book it');

const providerSchema = z.strictObject({
  sync: operationSchema([...CHANGE, 'provider']).describe(
    'begins a sync of every connection of the provider, e.g. POST /v0/calendar/google/sync; twice is harmless',
  ),
  reconnect: z
    .string()
    .min(1)
    .optional()
    .describe(
      'address, or words, for whoever reconnects; {connection} is filled in. People read it: no secret in it',
    ),
});

export const calendarSchema = z
  .strictObject({
    status: operationWith(PLACE, {
      list: path('connections').describe(
        'dot path of the list of connections, or of an object with one for each provider',
      ),
      item: itemSchema.prefault({}),
    }).describe('e.g. GET /v0/calendar/sync/status'),
    states: statesSchema.prefault({}),
    providers: z.record(plainName, providerSchema).describe('by the words of the status'),
    writeback: operationSchema(CHANGE)
      .optional()
      .describe('writes back what waits, e.g. POST /v0/calendar/writeback/run; twice is harmless'),
    availability: operationWith([...PLACE, 'resource', 'from', 'to'], {
      list: path('slots').describe('dot path of the list of times that are offered'),
      slot: z
        .strictObject({
          from: path('start'),
          to: path('end'),
          available: z.string().optional().describe('dot path of true or false, where others are listed too'),
        })
        .prefault({}),
    })
      .optional()
      .describe('what is offered between {from} and {to}, ISO times'),
    busy: z.array(busySchema).max(20).default([]).describe('known busy windows'),
    aroundHours: z
      .number()
      .positive()
      .max(168)
      .default(12)
      .describe(
        'availability is asked for that long before and after a busy window: something must be offered there',
      ),
    maxAgeMinutes: z
      .number()
      .positive()
      .default(30)
      .describe('a connection that synced longer ago is out of sync'),
    settleSeconds: z.number().min(0).max(1_800).default(120).describe('how long a sync may take to be seen'),
    patienceSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(600)
      .describe('the longest Retry-After that is waited for'),
    maxRounds: z.number().int().min(1).max(50).default(10).describe('rounds of writeback'),
    maxConnections: z
      .number()
      .int()
      .min(1)
      .max(100)
      .default(50)
      .describe('of one run; the others are for the next one'),
  })
  .describe('calendars that are connected to the application');

export type CalendarConfig = z.infer<typeof calendarSchema>;

/** Sections of an environment. */
export const calendarSettings = { environment: z.object({ calendar: calendarSchema.optional() }) };
