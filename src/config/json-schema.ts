import { z } from 'zod';
import type { configSchema } from './schema';

/** The JSON Schema of a runbooks.yaml, for editors. */
export function configJsonSchema(schema: typeof configSchema): Record<string, unknown> {
  return { $id: 'runbooks.schema.json', ...z.toJSONSchema(schema, { io: 'input' }) };
}
