import type { Command } from 'commander';
import { outputOf } from '../output';
import { requiredConfig } from '../settings';

interface Options {
  alert: string;
  source?: string;
  header?: string[];
}

export function addRoute(program: Command): void {
  program
    .command('route')
    .requiredOption(
      '--alert <file>',
      "the sender's body with --source, else the normal form; - for standard input",
    )
    .option('--source <name>', 'a source of the configuration, whose format the body has')
    .option('--header <name: value...>', 'of the request, where the body alone does not say what it is')
    .description('what an alert would start, and why; starts nothing')
    .action(async ({ alert, source, header = [] }: Options, command: Command) => {
      const config = await requiredConfig(command);
      const { explainAlert, readAlerts } = await import('../explain-alert.js');
      const output = outputOf(command);
      const alerts = readAlerts(config, { file: alert, source, headers: header });
      const explained = await Promise.all(alerts.map((one) => explainAlert(config, one)));
      output.document(explained);
      const { exitCodeOfRoutes, printRoutes } = await import('../route-text.js');
      printRoutes(output, explained);
      process.exitCode = exitCodeOfRoutes(explained);
    });
}
