import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import type { GlobalOptions } from '../output';

interface Options {
  tour?: boolean;
  exit?: boolean;
  data?: string;
}

export function addUp(program: Command): void {
  program
    .command('up')
    .option('--tour', 'run the tour on the booking sample')
    .option('--exit', 'end after the tour instead of staying up')
    .option('--data <folder>', 'keep everything in this folder; default: one that is deleted at the end')
    .description(
      'the embedded stack: Temporal with its UI, PostgreSQL, the booking sample and a worker; with --config: Temporal with its UI, and a worker of that configuration',
    )
    .action(async (options: Options, command: Command) => {
      const { config } = command.optsWithGlobals<GlobalOptions>();
      if (config !== undefined) {
        if (options.tour === true || options.exit === true)
          throw new CliError(EXIT.usage, '--tour and --exit are of the booking sample: leave --config away');
        const { upOwn } = await import('../../local/up-own.js');
        process.exitCode = await upOwn(config, options.data);
        return;
      }
      const { up } = await import('../../local/up.js');
      process.exitCode = await up(options);
    });
}
