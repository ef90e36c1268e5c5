/** Whom the limits of an application refuse, and how single ones are exempted for a while. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { changeSchema } from './change-schema';
import { operationWith } from './http-operation-schema';
import { plainName } from './primitives';
import { checkSource, sourceShape } from './source-schema';

const PLACE = ['service', 'environment'];

const network = z.string().refine(
  (text) => {
    const [address = '', bits, ...more] = text.split('/');
    const version = isIP(address);
    if (version === 0 || more.length > 0) return false;
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
  },
  { message: 'an address, or a network such as 203.0.113.0/24' },
);

const itemSchema = z
  .strictObject({
    who: z.string().default('who').describe('an address, a user: what the limit counts by'),
    refused: z.string().default('refused').describe('how many requests of it were refused lately'),
    known: z
      .string()
      .optional()
      .describe('true where the application knows it as a customer, e.g. because it has booked before'),
  })
  .describe('dot paths in one of them');

const exceptionSchema = z
  .strictObject({
    set: changeSchema([...PLACE, 'who', 'until']),
    unset: changeSchema([...PLACE, 'who']),
  })
  .describe(
    'an exception for {who}, and its end; each is harmless twice. Commands get WHO and UNTIL, the time at which it should lapse where nobody ends it',
  );

export const rateLimitingSchema = z
  .strictObject({
    blocked: operationWith(PLACE, {
      list: z.string().default('blocked').describe('dot path of the list'),
      item: itemSchema.prefault({}),
    })
      .optional()
      .describe('lists whom the limits have refused lately'),
    trusted: z
      .array(network)
      .default([])
      .describe('addresses and networks of ours and of partners: they are exempted without a question'),
    exceptions: z
      .record(plainName, exceptionSchema)
      .default({})
      .describe('by name, e.g. allow-list, own-limit; the first one is the usual one'),
    minutes: z.number().positive().max(1_440).default(60).describe('how long an exception stays'),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(60)
      .describe('how far back the share of refused requests looks: a remedy is judged after that time'),
    store: z
      .strictObject({ ...sourceShape(PLACE), max: z.number().positive() })
      .superRefine(checkSource)
      .optional()
      .describe('how many keys the limiter keeps, and how many are too many'),
  })
  .describe('whom the limits refuse, and exceptions for a while');

export type RateLimitingConfig = z.infer<typeof rateLimitingSchema>;
