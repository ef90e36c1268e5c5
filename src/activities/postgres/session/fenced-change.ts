import type { ChangeConfig } from '../../../config/change-schema';
import type { CommandConfig } from '../../../config/schema';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import { runChange } from '../../support/change';
import { longestRunMs, type CommandResult } from '../../support/configured-command';
import type { ActivityDeps } from '../../support/deps';
import type { Parameter } from '../../support/operation/request';
import { withHeldFence } from './held-fence';

/**
 * Changes a running application as the configuration says, by a command or by a request. An application keeps no fence, so
 * the one in its database is held meanwhile; either gets the token too, as RUNBOOKS_FENCING_TOKEN or `fencingToken`. Throws
 * StaleFencingToken, FenceBusy (tried again), WrongDatabase, DatabaseUnreachable, and CommandFailed or HttpFailed.
 */
export async function runFencedChange(
  deps: ActivityDeps,
  { service, environment, fence }: Place & { fence: Fence },
  change: ChangeConfig,
  action: string,
  parameters: Record<string, Parameter> = {},
): Promise<CommandResult> {
  const held = {
    fence,
    waitMs: longestMs(change),
    // The lease of an application is not that of its database: a restore may have closed it to writers meanwhile.
    evenReadOnly: change.command !== undefined,
    action: `hold the fence for ${action}`,
  };
  return withHeldFence(deps, databaseIn({ service, environment }), held, ({ hold }) =>
    hold((signal) =>
      runChange(deps, { service, environment, fence }, change, action, { parameters, signal }),
    ),
  );
}

/** The same for what only a command can do. */
export const runFencedCommand = (
  deps: ActivityDeps,
  input: Place & { fence: Fence },
  command: CommandConfig,
  action: string,
  variables: Record<string, string> = {},
): Promise<CommandResult> => runFencedChange(deps, input, { command }, action, variables);

function longestMs({ command, operation }: ChangeConfig): number {
  if (command !== undefined) return longestRunMs(command);
  const { timeoutMs, poll } = operation!;
  return timeoutMs + (poll === undefined ? 0 : poll.forSeconds * 1_000 + timeoutMs);
}
