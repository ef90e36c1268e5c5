import type { Command } from 'commander';
import { requiredConfig } from '../settings';

export function addWorker(program: Command): void {
  program
    .command('worker')
    .description('run a worker for every runbook; it ends on SIGINT or SIGTERM')
    .action(async (_: unknown, command: Command) => {
      // Read here too, so that a bad file is said before anything heavy is loaded.
      const { file } = await requiredConfig(command);
      const { runWorker } = await import('../../worker/main.js');
      await runWorker(file);
    });
}
