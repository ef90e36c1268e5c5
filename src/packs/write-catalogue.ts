import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderCatalogue } from '../catalogue/page';
import { PACKAGE_ROOT } from '../config/version';
import { ownCatalogue } from './own';
import { renderSeeds } from './seeds/page';
import { readSeeds } from './seeds/read';

if (require.main === module) {
  // An image is built without the pages.
  const docs = join(PACKAGE_ROOT, 'docs');
  mkdirSync(docs, { recursive: true });
  writeFileSync(join(docs, 'catalogue.md'), renderCatalogue(ownCatalogue));
  writeFileSync(join(docs, 'seeds.md'), renderSeeds(readSeeds()));
}
