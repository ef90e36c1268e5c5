import { commandSchema, z } from 'durable-runbooks';

/** The section `cron` of an environment in runbooks.yaml. */
export const cronSettings = {
  environment: z.object({
    cron: z
      .strictObject({
        lastRun: commandSchema.describe('prints when JOB ran last, as an ISO time'),
        run: commandSchema.describe('runs JOB once; running it twice is harmless'),
        maxAgeMinutes: z.number().positive().default(10).describe('older than this: the job has stopped'),
      })
      .optional()
      .describe('jobs that run again and again'),
  }),
};
