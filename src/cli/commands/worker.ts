import type { Command } from 'commander';
import { listenAddress, requiredConfig } from '../settings';

export function addWorker(program: Command): void {
  program
    .command('worker')
    .option('--listen <host:port>', 'of its health and metrics; default: worker.listen of the configuration')
    .description('run a worker for every runbook; it ends on SIGINT or SIGTERM')
    .action(async ({ listen }: { listen?: string }, command: Command) => {
      const address = listenAddress(listen);
      // Read here too, so that a bad file is said before anything heavy is loaded.
      const { file } = await requiredConfig(command);
      const { runWorker } = await import('../../worker/main.js');
      await runWorker(file, address);
    });
}
