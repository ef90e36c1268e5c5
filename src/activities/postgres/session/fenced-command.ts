import type { CommandConfig } from '../../../config/schema';
import type { ActivityDeps } from '../../support/deps';
import { longestRunMs, runConfiguredCommand, type CommandResult } from '../../support/configured-command';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import { withHeldFence } from './held-fence';

/**
 * Runs a command that changes a running application. An application keeps no fence, so the one in its database is held
 * for as long as the command runs; the command gets the token too, as RUNBOOKS_FENCING_TOKEN. Throws StaleFencingToken,
 * FenceBusy (tried again), WrongDatabase, DatabaseUnreachable, CommandFailed.
 */
export async function runFencedCommand(
  deps: ActivityDeps,
  { service, environment, fence }: Place & { fence: Fence },
  command: CommandConfig,
  action: string,
  variables: Record<string, string> = {},
): Promise<CommandResult> {
  // The lease of an application is not that of its database: a restore may have closed it to writers meanwhile.
  const held = {
    fence,
    waitMs: longestRunMs(command),
    evenReadOnly: true,
    action: `hold the fence for ${action}`,
  };
  return withHeldFence(deps, databaseIn({ service, environment }), held, ({ hold }) =>
    hold(async (lost) => {
      const startedAt = Date.now();
      const environmentOfIt = {
        ...variables,
        RUNBOOKS_SERVICE: service,
        RUNBOOKS_ENVIRONMENT: environment,
        RUNBOOKS_FENCING_TOKEN: String(fence.token),
      };
      const detail = await runConfiguredCommand(deps, command, environmentOfIt, lost);
      return { ran: true, detail, durationMs: Date.now() - startedAt };
    }),
  );
}
