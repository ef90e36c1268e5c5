/** When queries are slow, indexes are too many or missing, and tables need a vacuum; and what may be done about it. */
import { z } from 'zod';

export const tuningSchema = z
  .strictObject({
    slowMs: z.number().positive().default(1_000).describe('a statement that takes longer on average is slow'),
    minCalls: z.number().int().positive().default(5).describe('what was called less often is not looked at'),
    minTableRows: z
      .number()
      .int()
      .min(0)
      .default(10_000)
      .describe('a smaller table is read from its beginning to its end as fast as through an index'),
    minGain: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.3)
      .describe('share of the planned cost that an index must save to be created'),
    maxLoss: z
      .number()
      .min(0)
      .max(1)
      .default(0.05)
      .describe('share by which the planned cost of any other known statement may grow'),
    unusedDays: z
      .number()
      .positive()
      .default(100)
      .describe(
        'an index is unused when the statistics have seen no scan of it for that long; some reports come once a quarter',
      ),
    maxChanges: z.number().int().positive().default(5).describe('indexes that one run may create and drop'),
    manyCalls: z
      .number()
      .int()
      .positive()
      .default(10_000)
      .describe('a fast read of few rows that was called this often is reported: N+1, a query in a loop'),
    buildTimeoutMinutes: z
      .number()
      .positive()
      .max(1_440)
      .default(60)
      .describe('how long building or dropping one index may take'),
  })
  .describe('slow statements and indexes');

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of the day, e.g. "01:00"');

export const vacuumSchema = z
  .strictObject({
    deadShare: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.2)
      .describe('a table is vacuumed when this share of its rows is dead'),
    minDeadRows: z.number().int().min(0).default(10_000).describe('and at least so many rows are'),
    bloatShare: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.4)
      .describe('a table that seems to be empty by this share is reported'),
    lockTimeoutSeconds: z
      .number()
      .positive()
      .max(600)
      .default(10)
      .describe('how long a vacuum waits for its lock before it gives up'),
    tableTimeoutMinutes: z
      .number()
      .positive()
      .max(1_440)
      .default(120)
      .describe('how long the vacuum of one table may take'),
    offPeak: z
      .strictObject({
        from: clock.default('01:00'),
        to: clock.default('05:00'),
        timeZone: z
          .string()
          .default('UTC')
          .refine(isTimeZone, 'an IANA name of a time zone, e.g. "Europe/Berlin"')
          .describe('IANA name, e.g. Europe/Berlin'),
      })
      .prefault({})
      .describe(
        'no vacuum runs at another time, and one that is not done then is ended; equal times: at any',
      ),
  })
  .describe('tables with many dead rows');

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export type TuningConfig = z.infer<typeof tuningSchema>;
export type VacuumConfig = z.infer<typeof vacuumSchema>;
