import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import { listenAddress, requiredConfig } from '../settings';

export function addAlerts(program: Command): void {
  program
    .command('alerts')
    .option('--listen <host:port>', 'default: alerts.host and alerts.port of the configuration')
    .description('take alerts over HTTP and start the runbooks of their routes; it ends on SIGINT or SIGTERM')
    .action(async ({ listen }: { listen?: string }, command: Command) => {
      const address = listenAddress(listen);
      const { file, alerts } = await requiredConfig(command);
      if (Object.keys(alerts.sources).length === 0)
        throw new CliError(
          EXIT.usage,
          `${file} has no alerts.sources, so nobody could send an alert. docs/alerts.md shows how one is written.`,
        );
      const { runAlerts } = await import('../../worker/intake.js');
      await runAlerts(file, address);
    });
}
