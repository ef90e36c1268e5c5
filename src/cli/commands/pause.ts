import type { Command } from 'commander';
import { outputOf } from '../output';
import { defaultName, optionalConfig } from '../settings';

interface Options {
  target: string;
  reason: string;
  by: string;
}

/** `pause` and `resume`: the kill switch, for everything or for one target. */
export function addPause(program: Command): void {
  for (const verb of ['pause', 'resume'] as const) {
    program
      .command(verb)
      .option('--target <target>', 'e.g. booking/production; default: every target', 'all')
      .requiredOption('--reason <text>', 'why, for everybody who asks')
      .option('--by <name>', 'your name', defaultName())
      .description(
        verb === 'pause'
          ? 'the kill switch: no run goes through its gate any more'
          : 'let runs go on after a pause',
      )
      .action(async ({ target, reason, by }: Options, command: Command) => {
        const { withTemporal } = await import('../connect.js');
        const { GUARD_TYPE, guardId } = await import('../../contract/guard.js');
        const output = outputOf(command);
        await withTemporal(await optionalConfig(command), async ({ client, taskQueue }) => {
          const what = target === 'all' ? 'every target' : target;
          if (verb === 'resume')
            await client.workflow.getHandle(guardId(target)).signal('resume', { by, reason });
          else {
            await client.workflow.signalWithStart(GUARD_TYPE, {
              workflowId: guardId(target),
              taskQueue,
              args: [{ target }],
              signal: 'pause',
              signalArgs: [{ by, reason }],
            });
          }
          output.document({
            target,
            guard: guardId(target),
            [verb === 'pause' ? 'paused' : 'resumed']: true,
            by,
            reason,
          });
          output.line(
            verb === 'pause'
              ? `Paused: no run goes through a gate on ${what} until \`runbooks resume\`.`
              : `Resumed: runs on ${what} go on.`,
          );
          output.hint(`Look with: runbooks guard ${target}`);
        });
      });
  }
}
