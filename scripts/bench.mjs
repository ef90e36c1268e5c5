/** `npm run bench [-- names...]`: sets up what is missing, measures, and writes bench/results.json. */
import Module from 'node:module';
import { join } from 'node:path';
import { root, runScript, setUp } from './setup.mjs';

await runScript(async () => {
  await setUp();
  process.argv = [process.argv[0], join(root, 'dist', 'bench', 'main.js'), ...process.argv.slice(2)];
  Module.runMain();
});
