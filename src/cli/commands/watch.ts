import type { Command } from 'commander';
import { outputOf } from '../output';
import { reach } from '../settings';

export function addWatch(program: Command): void {
  program
    .command('watch')
    .argument('<id>', 'workflow ID')
    .option('--run <run id>', 'one run of that ID; default: the newest')
    .description('follow a run until it ends; the exit code is its outcome')
    .action(async (id: string, { run }: { run?: string }, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { watchRun } = await import('../watch.js');
      process.exitCode = await withTemporal(await reach(command), (temporal) =>
        watchRun(temporal, outputOf(command), id, run),
      );
    });
}
