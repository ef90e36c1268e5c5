import type { Command } from 'commander';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

interface Options {
  task?: string;
  by: string;
  note?: string;
}

export function addDone(program: Command): void {
  program
    .command('done')
    .argument('<id>', 'workflow ID')
    .option('--task <id>', 'which task; default: the open one')
    .option('--by <name>', 'your name', defaultName())
    .option('--note <text>', 'what was done, for the report')
    .description('tell a run that the work it waits for is done')
    .action(async (id: string, options: Options, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { askRun, onlyOpen, sendUpdate, words } = await import('../answer.js');
      const output = outputOf(command);
      await withTemporal(await reach(command), async (temporal) => {
        const task = options.task ?? onlyOpen(await askRun(temporal, id), 'task', '--task').id;
        const answer = await sendUpdate(
          temporal,
          id,
          'done',
          words({ task, by: options.by, note: options.note }),
        );
        output.document({ workflowId: id, task, by: options.by, answer });
        output.line(answer);
      });
    });
}
