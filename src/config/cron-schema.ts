/** Jobs that a scheduler outside of the application starts again and again. */
import { z } from 'zod';
import { operationSchema } from './http-operation-schema';
import { commandSchema, plainName } from './primitives';
import { checkSource, sourceShape } from './source-schema';

/** What requests and commands about a job may use: in a command JOB, RUNBOOKS_SERVICE, RUNBOOKS_ENVIRONMENT. */
const DECLARED = ['service', 'environment', 'job'];

const sourceSchema = z.strictObject(sourceShape(DECLARED)).superRefine(checkSource);

/** A change by a request or by a command; in the request the `declared` names may be filled in. */
export function changeSchemaFor(declared: readonly string[]) {
  return z
    .strictObject({ operation: operationSchema(declared).optional(), command: commandSchema.optional() })
    .refine(({ operation, command }) => (operation === undefined) !== (command === undefined), {
      message: 'one of operation, command',
    });
}

const changeSchema = changeSchemaFor([...DECLARED, 'fencingToken']);

const cronSchema = z
  .strictObject({
    everySeconds: z
      .number()
      .positive()
      .max(31 * 86_400)
      .describe('how often it should run; later than twice that, it has stopped'),
    lastRun: sourceSchema.describe(
      'when it ran last: a time with its zone, or seconds or milliseconds since 1970',
    ),
    run: changeSchema.describe('runs it once; running it twice is harmless'),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(30)
      .describe('how long after that the time of the last run may still be the former one'),
    undone: sourceSchema
      .optional()
      .describe(
        'how much is left that it should have done by now, e.g. bookings past their expiry; 0 is well',
      ),
    healsLazily: z
      .boolean()
      .default(false)
      .describe('reads do its work where it is late, so nobody is hurt at once'),
    schedule: sourceSchema.optional().describe('the schedule that the platform has for it'),
    expectedSchedule: z
      .string()
      .min(1)
      .optional()
      .describe(
        'what `schedule` should say; anything else is a lost one, but a command that prints nothing has said nothing',
      ),
    redeploy: changeSchema
      .optional()
      .describe('has the platform take the schedule again; running it twice is harmless'),
  })
  .refine(({ schedule, expectedSchedule }) => (schedule === undefined) === (expectedSchedule === undefined), {
    path: ['expectedSchedule'],
    message: 'schedule and expectedSchedule together',
  })
  .describe('a job that a scheduler starts again and again');

export const cronsSchema = z
  .record(plainName, cronSchema)
  .default({})
  .describe('jobs that a scheduler starts again and again, by their names');

export type CronConfig = z.infer<typeof cronSchema>;
export type ChangeConfig = z.infer<typeof changeSchema>;
