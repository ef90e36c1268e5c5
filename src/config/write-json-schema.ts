import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { configSchema } from './schema';
import { PACKAGE_ROOT } from './version';

/** The JSON Schema of runbooks.yaml, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return { $id: 'runbooks.schema.json', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}

if (require.main === module) {
  writeFileSync(
    join(PACKAGE_ROOT, 'runbooks.schema.json'),
    `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  );
}
