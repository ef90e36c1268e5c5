/** What runs by itself, and when. */
import { z } from 'zod';
import { modeSchema } from './primitives';

const cron = z.string().min(1).describe('five fields: minute hour day-of-month month day-of-week');

export const scheduleSchema = z
  .strictObject({
    runbook: z.string().min(1),
    input: z.record(z.string(), z.unknown()),
    mode: modeSchema.optional(),
    cron: z.union([cron, z.array(cron).min(1)]),
    timeZone: z.string().default('UTC').describe('IANA name, e.g. Europe/Berlin'),
    jitterMinutes: z
      .number()
      .min(0)
      .max(1_440)
      .optional()
      .describe(
        'each start is later by a time up to this, which the server draws from the name of the schedule and the time. Default: 5, or a tenth of the shortest time between two starts where that is less',
      ),
    catchUpMinutes: z
      .number()
      .positive()
      .max(10_080)
      .default(60)
      .describe('a start missed by more than this, e.g. while the server was down, is left out'),
    pauseOnFailure: z
      .boolean()
      .default(false)
      .describe('after a failed run the schedule waits until a person has looked'),
    paused: z.boolean().default(false),
    note: z.string().max(200).default(''),
    maxAgeHours: z
      .number()
      .positive()
      .optional()
      .describe(
        'alert when the last start is older; default: late from the second start on that did not come',
      ),
  })
  .describe('a Temporal Schedule; a start is skipped while the one before still runs');

export type ScheduleConfig = z.infer<typeof scheduleSchema>;
