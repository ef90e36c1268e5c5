import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import type { GlobalOptions } from '../output';

interface Options {
  example?: string;
  tour?: boolean;
  exit?: boolean;
  data?: string;
}

const TOURED = 'booking';

export function addUp(program: Command): void {
  program
    .command('up')
    .option('--example <name>', `which example; default: ${TOURED}`)
    .option('--tour', 'run the tour on the booking sample')
    .option('--exit', 'end after the tour instead of staying up')
    .option('--data <folder>', 'keep everything in this folder; default: one that is deleted at the end')
    .description(
      'the embedded stack: Temporal with its UI, PostgreSQL, an example application and a worker; with --config: Temporal with its UI, and a worker of that configuration',
    )
    .action(async (options: Options, command: Command) => {
      const { config } = command.optsWithGlobals<GlobalOptions>();
      if (config === undefined) {
        process.exitCode = await upExample(options);
        return;
      }
      if (options.example !== undefined || options.tour === true || options.exit === true)
        throw new CliError(EXIT.usage, '--example, --tour and --exit are of the examples: leave --config away');
      const { upOwn } = await import('../../local/up-own.js');
      process.exitCode = await upOwn(config, options.data);
    });
}

async function upExample({ example: name = TOURED, ...options }: Options): Promise<number> {
  if (name !== TOURED && (options.tour === true || options.exit === true))
    throw new CliError(EXIT.usage, `--tour and --exit are of the example ${TOURED}, and ${name} has no tour`);
  const { loadExample } = await import('../../../examples/index.js');
  const example = await loadExample(name);
  const { up } = await import('../../local/up.js');
  return up({ ...options, example });
}
