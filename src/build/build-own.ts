import { readFileSync, writeFileSync } from 'node:fs';
import { PACKAGE_ROOT } from '../config/version';
import { ownPacks } from '../packs/own';
import { bundlePacks } from './bundle-packs';
import { OWN_BUNDLE, OWN_ENTRY } from './paths';

/** Built ahead, so that a worker is ready in under a second. */
async function main(): Promise<void> {
  const { code } = await bundlePacks(ownPacks, { entry: OWN_ENTRY, context: PACKAGE_ROOT, own: ownPacks });
  writeFileSync(OWN_BUNDLE, code);
  console.log(`workflow bundle: ${Math.round(readFileSync(OWN_BUNDLE).length / 1_000)} kB`);
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
