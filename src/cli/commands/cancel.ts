import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

export function addCancel(program: Command): void {
  program
    .command('cancel')
    .argument('<id>', 'workflow ID')
    .option('--reason <text>', 'why, for the report')
    .option('--by <name>', 'your name', defaultName())
    .description('end a run: what can be undone is undone first, and it says what stays')
    .action(async (id: string, { reason, by }: { reason?: string; by: string }, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { sendUpdate } = await import('../answer.js');
      const { quote } = await import('../../contract/answer-commands.js');
      const output = outputOf(command);
      await withTemporal(await reach(command), async (temporal) => {
        const handle = temporal.client.workflow.getHandle(id);
        const { status } = await handle.describe();
        if (status.name !== 'RUNNING')
          throw new CliError(EXIT.usage, `${id} has ended (${status.name}): there is nothing to cancel.`);
        if (reason !== undefined) {
          // A reason that cannot be written down must not keep the run going.
          await sendUpdate(temporal, id, 'note', { text: `cancellation asked for: ${reason}`, by }).catch(
            (error: Error) => output.hint(`The reason could not be noted: ${error.message}`),
          );
        }
        await handle.cancel();
        output.document({ workflowId: id, cancellation: 'requested' });
        output.line(
          `Cancellation of ${id} is asked for. What can be undone is undone first: runbooks watch ${quote(id)}`,
        );
      });
    });
}
