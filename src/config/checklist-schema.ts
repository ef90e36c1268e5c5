/** What the daily checklist goes by, where nothing else in the configuration says it. */
import { z } from 'zod';
import { BANDS_IN_ORDER } from './primitives';

export const checklistSchema = z
  .strictObject({
    smoke: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,30}$/, 'an environment of the service, e.g. "staging"')
      .default('staging')
      .describe('environment whose smoke test is run'),
    lockWaitSeconds: z
      .strictObject({ warning: z.number().min(0).default(1), critical: z.number().positive().default(30) })
      .refine(...BANDS_IN_ORDER)
      .prefault({})
      .describe('a session that waits for a lock for longer is yellow, or red'),
    deadlocks: z
      .strictObject({
        warning: z.number().int().min(0).default(0),
        critical: z.number().int().min(0).default(10),
      })
      .refine(...BANDS_IN_ORDER)
      .prefault({})
      .describe('more than these since the checklist before are yellow, or red'),
    slowStatementSeconds: z
      .number()
      .positive()
      .default(5)
      .describe('a statement that took longer on average is red; yellow from tuning.slowMs on'),
    itemSeconds: z
      .number()
      .positive()
      .max(3_600)
      .default(60)
      .describe('one item has no answer after that; a smoke test and a log command have their own time too'),
    backupMinutes: z
      .number()
      .positive()
      .max(720)
      .default(30)
      .describe('how long reading the newest backup may take'),
  })
  .describe('the daily checklist');

export type ChecklistConfig = z.infer<typeof checklistSchema>;
