/** The server of a database, as its provider knows it: also when it takes no connections. */
import { z } from 'zod';
import { changeSchema } from './change-schema';
import { checkSource, sourceShape } from './source-schema';

const DECLARED = ['service', 'environment'];

const { sql: _, ...shape } = sourceShape(DECLARED);

const statusSchema = z.strictObject(shape).superRefine(checkSource);

export const serverSchema = z
  .strictObject({
    status: statusSchema
      .optional()
      .describe(
        "what the provider says of it, e.g. Render's GET /v1/postgres/{id} with the field `status`, or Supabase's GET /v1/projects/{ref}",
      ),
    paused: z
      .array(z.string().min(1))
      .min(1)
      .default(['suspended', 'paused', 'PAUSED', 'INACTIVE'])
      .describe('what `status` is where the server was paused'),
    start: changeSchema(DECLARED)
      .optional()
      .describe('starts or resumes it; running it twice is harmless, also where it runs'),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(120)
      .describe('how long after that it may take until it answers'),
  })
  .describe('what can be asked of, and done to, the server of the database when it takes no connections');

export type ServerConfig = z.infer<typeof serverSchema>;
