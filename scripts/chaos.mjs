/** `npm run chaos [-- --minutes 5]`: sets up what is missing, and lets faults happen to real servers at random moments. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root, runScript, setUp } from './setup.mjs';

const require = createRequire(import.meta.url);

await runScript(async () => {
  await setUp();
  require(join(root, 'test', 'cli', 'register.cjs'));
  require(join(root, 'test', 'chaos', 'main.ts'));
});
