import type { ChangeConfig } from '../../../config/change-schema';
import type { OperationConfig } from '../../../config/http-operation-schema';
import { databaseIn, targetOf, type Fence, type Place } from '../../../contract/place';
import type { CommandResult } from '../../support/configured-command';
import type { ActivityDeps } from '../../support/deps';
import { performOperation } from '../../support/operation/perform';
import type { Parameter } from '../../support/operation/request';
import { runFencedCommand } from './fenced-command';
import { withHeldFence } from './held-fence';

/**
 * Changes a running application as the configuration says, by a command or by a request, while the fence in its database
 * is held. Either gets the token. Throws StaleFencingToken, FenceBusy (tried again), WrongDatabase, DatabaseUnreachable,
 * and CommandFailed or HttpFailed.
 */
export async function runFencedChange(
  deps: ActivityDeps,
  { service, environment, fence }: Place & { fence: Fence },
  { command, operation }: ChangeConfig,
  action: string,
  parameters: Record<string, Parameter> = {},
): Promise<CommandResult> {
  const place = { service, environment };
  if (command !== undefined) {
    const variables = Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), String(value)]);
    return runFencedCommand(
      deps,
      { ...place, fence },
      command,
      action,
      Object.fromEntries(variables) as Record<string, string>,
    );
  }
  const held = { fence, waitMs: longestMs(operation!), action: `hold the fence for ${action}` };
  return withHeldFence(deps, databaseIn(place), held, ({ hold }) =>
    hold(async (lost) => {
      const startedAt = Date.now();
      const { detail } = await performOperation(operation!, {
        action: `${action} of ${targetOf(place)}`,
        parameters: { ...parameters, service, environment, fencingToken: fence.token },
        directory: deps.config.directory,
        signal: lost,
      });
      return { ran: true, detail, durationMs: Date.now() - startedAt };
    }),
  );
}

function longestMs({ timeoutMs, poll }: OperationConfig): number {
  return timeoutMs + (poll === undefined ? 0 : poll.forSeconds * 1_000 + timeoutMs);
}
