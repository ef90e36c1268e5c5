import type { Command } from 'commander';

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
    .description('the embedded stack: Temporal with its UI, PostgreSQL, the booking sample and a worker')
    .action(async (options: Options) => {
      const { up } = await import('../../local/up.js');
      process.exitCode = await up(options);
    });
}
