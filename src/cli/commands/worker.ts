import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import { requiredConfig } from '../settings';

export function addWorker(program: Command): void {
  program
    .command('worker')
    .option('--listen <host:port>', 'of its health and metrics; default: worker.listen of the configuration')
    .description('run a worker for every runbook; it ends on SIGINT or SIGTERM')
    .action(async ({ listen }: { listen?: string }, command: Command) => {
      if (listen !== undefined && !/^[^\s:]+:\d{1,5}$/.test(listen))
        throw new CliError(EXIT.usage, `--listen wants host:port, e.g. 127.0.0.1:9464; got "${listen}"`);
      // Read here too, so that a bad file is said before anything heavy is loaded.
      const { file } = await requiredConfig(command);
      const { runWorker } = await import('../../worker/main.js');
      await runWorker(file, listen);
    });
}
