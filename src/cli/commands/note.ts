import type { Command } from 'commander';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

export function addNote(program: Command): void {
  program
    .command('note')
    .argument('<id>', 'workflow ID')
    .argument('<text...>', 'what everybody should know')
    .option('--by <name>', 'your name', defaultName())
    .description('add a line to the timeline of a run')
    .action(async (id: string, text: string[], { by }: { by: string }, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { sendUpdate } = await import('../answer.js');
      const output = outputOf(command);
      await withTemporal(await reach(command), async (temporal) => {
        const answer = await sendUpdate(temporal, id, 'note', { text: text.join(' '), by });
        output.document({ workflowId: id, by, answer });
        output.line(answer);
      });
    });
}
