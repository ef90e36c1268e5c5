import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderCatalogue } from '../catalogue/page';
import { PACKAGE_ROOT } from '../config/version';
import { ownCatalogue } from './own';

if (require.main === module) {
  // An image is built without the pages.
  const docs = join(PACKAGE_ROOT, 'docs');
  mkdirSync(docs, { recursive: true });
  writeFileSync(join(docs, 'catalogue.md'), renderCatalogue(ownCatalogue));
}
