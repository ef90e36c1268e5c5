/** How the key flows of an application are tried: by a command of one's own, or by requests. */
import { z } from 'zod';
import { operationSchema } from './http-operation-schema';
import { commandSchema } from './primitives';

const flowSchema = z.strictObject({
  name: z.string().min(1).max(100).describe('what customers would call it, e.g. quote'),
  operation: operationSchema(['service', 'environment']),
});

export const smokeSchema = commandSchema
  .extend({
    run: commandSchema.shape.run.optional(),
    directory: commandSchema.shape.directory.describe('of `run`: working directory, relative to this file'),
    timeoutSeconds: commandSchema.shape.timeoutSeconds.describe('of the command, or of all flows together'),
    flows: z
      .array(flowSchema)
      .min(1)
      .max(20)
      .optional()
      .describe('requests, one after the other up to the first that fails; production gets them too'),
  })
  .refine(({ run, flows }) => (run === undefined) !== (flows === undefined), {
    message: 'one of run, flows',
  })
  .refine(({ flows, environment }) => flows === undefined || Object.keys(environment).length === 0, {
    message:
      'only a command has an environment, and flows have none: secrets of a request stand in its operation',
    path: ['environment'],
  })
  .describe(
    'tries the key flows, by a command or by requests; a new deployment beside the one in front is tried at its own address (DEPLOYMENT_URL), and gets the requests in place of the server that they name',
  );

export type SmokeConfig = z.infer<typeof smokeSchema>;
