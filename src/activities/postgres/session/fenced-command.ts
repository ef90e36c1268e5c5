import type { CommandConfig } from '../../../config/schema';
import type { ActivityDeps } from '../../support/deps';
import { runConfiguredCommand, type CommandResult } from '../../support/configured-command';
import { withClient } from './connection';
import type { Fence, Place } from '../../../contract/place';
import { fenceSession } from './fence';

/**
 * Runs a command that changes a running application. An application keeps no fence, so the one in its database is taken
 * right before; the command gets the token too, as RUNBOOKS_FENCING_TOKEN. Throws StaleFencingToken, WrongDatabase,
 * DatabaseUnreachable, CommandFailed.
 */
export async function runFencedCommand(
  deps: ActivityDeps,
  { service, environment, fence }: Place & { fence: Fence },
  command: CommandConfig,
  action: string,
  variables: Record<string, string> = {},
): Promise<CommandResult> {
  await withClient(deps, { kind: 'service', service, environment }, (client) => fenceSession(client, fence), {
    identity: true,
    action: `take the fence before ${action}`,
  });
  const startedAt = Date.now();
  const detail = await runConfiguredCommand(deps, command, {
    ...variables,
    RUNBOOKS_SERVICE: service,
    RUNBOOKS_ENVIRONMENT: environment,
    RUNBOOKS_FENCING_TOKEN: String(fence.token),
  });
  return { ran: true, detail, durationMs: Date.now() - startedAt };
}
