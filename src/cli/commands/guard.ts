import type { Command } from 'commander';
import type { GuardState } from '../../workflows/kit/guard-protocol';
import type { Temporal } from '../connect';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { optionalConfig } from '../settings';

const QUERY_TIMEOUT_MS = 10_000;

export function addGuard(program: Command): void {
  program
    .command('guard')
    .argument('[target]', 'e.g. booking/production; default: the kill switch', 'all')
    .description('who holds a target, who waits for it, and whether it is paused')
    .action(async (target: string, _: unknown, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const { utc } = await import('../../workflows/kit/format.js');
      const output = outputOf(command);
      const state = await withTemporal(await optionalConfig(command), (temporal) =>
        readGuard(temporal, target),
      );
      const { paused, holder, waiting, lastToken } = state;
      output.document(state);
      output.line(`${output.style('bold', `guard/${target}`)}`);
      output.line(
        `paused   ${paused === null ? 'no' : output.style('red', `by ${paused.by} at ${utc(paused.at)} UTC: ${paused.reason}`)}`,
      );
      output.line(
        `holder   ${holder === null ? 'nobody' : `${holder.workflowId} since ${utc(holder.since)} UTC, token ${holder.token}`}`,
      );
      output.line(`waiting  ${waiting.length === 0 ? 'nobody' : ''}`);
      for (const one of waiting) output.line(`         ${one.workflowId} since ${utc(one.since)} UTC`);
      output.line(`token    ${lastToken}`);
    });
}

async function readGuard({ client, within }: Temporal, target: string): Promise<GuardState> {
  const { guardId } = await import('../../workflows/kit/guard-protocol.js');
  const handle = client.workflow.getHandle(guardId(target));
  try {
    return await within(QUERY_TIMEOUT_MS, () => handle.query<GuardState>('state'));
  } catch (error) {
    if ((error as Error).name === 'WorkflowNotFoundError') {
      throw new CliError(
        EXIT.notFound,
        `There is no guard of ${target} yet: nobody ever paused or leased it.`,
      );
    }
    if ((await handle.describe()).status.name !== 'RUNNING') throw error;
    throw new CliError(
      EXIT.unreachable,
      `The guard of ${target} runs, but no worker answers for it. Start one with \`runbooks worker\`.`,
    );
  }
}
