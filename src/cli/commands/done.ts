import type { Command } from 'commander';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

interface Options {
  task?: string;
  by: string;
  note?: string;
  key?: string;
}

export function addDone(program: Command): void {
  program
    .command('done')
    .argument('<id>', 'workflow ID')
    .option('--task <id>', 'which task; default: the open one')
    .option('--by <name>', 'your name', defaultName())
    .option('--note <text>', 'what was done, for the report')
    .option('--key <file>', 'sign with that key; default: the one of yours that the run knows')
    .description('tell a run that the work it waits for is done')
    .action(async (id: string, options: Options, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { askRun, onlyOpen, sendAnswer } = await import('../answer.js');
      const output = outputOf(command);
      await withTemporal(await reach(command), async (temporal) => {
        const task = options.task ?? onlyOpen(await askRun(temporal, id), 'task', '--task').id;
        const { by, note, key } = options;
        const answer = await sendAnswer(temporal, id, 'done', { task, by, note }, key);
        output.document({ workflowId: id, task, by: options.by, answer });
        output.line(answer);
      });
    });
}
