import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderCatalogue } from '../catalogue/page';
import { PACKAGE_ROOT } from '../config/version';
import { ownCatalogue } from './own';

if (require.main === module)
  writeFileSync(join(PACKAGE_ROOT, 'docs', 'catalogue.md'), renderCatalogue(ownCatalogue));
