import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

interface Options {
  question?: string;
  choice?: string;
  by: string;
  note?: string;
}

export function addDecide(program: Command): void {
  program
    .command('decide')
    .argument('<id>', 'workflow ID')
    .option('--question <id>', 'which question; default: the open one')
    .option('--choice <choice>', 'the choice; without it the choices are shown')
    .option('--by <name>', 'your name', defaultName())
    .option('--note <text>', 'why, for the report')
    .description('take a decision that a run waits for')
    .action(async (id: string, options: Options, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { askRun, onlyOpen, sendUpdate, words } = await import('../answer.js');
      const output = outputOf(command);
      await withTemporal(await reach(command), async (temporal) => {
        let { question, choice } = options;
        if (question === undefined || choice === undefined) {
          const open = onlyOpen(await askRun(temporal, id), 'decision', '--question');
          question ??= open.id;
          choice ??= refuseWithoutChoice(id, open.question, open.choices ?? []);
        }
        const answer = await sendUpdate(
          temporal,
          id,
          'decide',
          words({ question, choice, by: options.by, note: options.note }),
        );
        output.document({ workflowId: id, question, choice, by: options.by, answer });
        output.line(answer);
      });
    });
}

function refuseWithoutChoice(id: string, question: string, choices: string[]): never {
  const list = choices.map((choice) => `\n  runbooks decide ${id} --choice ${choice}`).join('');
  throw new CliError(EXIT.usage, `${question}\nNothing was decided. Choose one:${list}`);
}
