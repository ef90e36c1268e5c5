/** `npm start`: sets up what is missing, then brings the embedded stack up and runs the tour. */
import Module from 'node:module';
import { join } from 'node:path';
import { root, runScript, setUp } from './setup.mjs';

await runScript(async () => {
  await setUp();
  // In this very process: a second one between the terminal and the stack would be one more thing to outlive.
  process.argv = [
    process.argv[0],
    join(root, 'dist', 'src', 'cli', 'main.js'),
    'up',
    // The tour is of the booking sample.
    ...(process.argv.some((argument) => argument.startsWith('--example')) ? [] : ['--tour']),
    ...process.argv.slice(2),
  ];
  Module.runMain();
});
