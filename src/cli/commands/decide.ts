import type { Command } from 'commander';
import { answerCommands } from '../../contract/answer-commands';
import type { Waiting } from '../../contract/report';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

interface Options {
  question?: string;
  choice?: string;
  by: string;
  note?: string;
  key?: string;
}

export function addDecide(program: Command): void {
  program
    .command('decide')
    .argument('<id>', 'workflow ID')
    .option('--question <id>', 'which question; default: the open one')
    .option('--choice <choice>', 'the choice; without it the choices are shown')
    .option('--by <name>', 'your name', defaultName())
    .option('--note <text>', 'why, for the report')
    .option('--key <file>', 'sign with that key; default: the one of yours that the run knows')
    .description('take a decision that a run waits for')
    .action(async (id: string, options: Options, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { askRun, onlyOpen, sendAnswer } = await import('../answer.js');
      const output = outputOf(command);
      await withTemporal(await reach(command), async (temporal) => {
        let { question, choice } = options;
        if (question === undefined || choice === undefined) {
          const open = onlyOpen(await askRun(temporal, id), 'decision', '--question');
          question ??= open.id;
          choice ??= refuseWithoutChoice(id, open);
        }
        const { by, note, key } = options;
        const answer = await sendAnswer(temporal, id, 'decide', { question, choice, by, note }, key);
        output.document({ workflowId: id, question, choice, by: options.by, answer });
        output.line(answer);
      });
    });
}

function refuseWithoutChoice(id: string, open: Waiting): never {
  const list = answerCommands(id, open)
    .map((command) => `\n  ${command}`)
    .join('');
  throw new CliError(EXIT.usage, `${open.question}\nNothing was decided. Choose one:${list}`);
}
