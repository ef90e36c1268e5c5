import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configJsonSchema } from '../config/json-schema';
import { PACKAGE_ROOT } from '../config/version';
import { ownConfigSchema } from './own';

if (require.main === module)
  writeFileSync(
    join(PACKAGE_ROOT, 'runbooks.schema.json'),
    `${JSON.stringify(configJsonSchema(ownConfigSchema), null, 2)}\n`,
  );
