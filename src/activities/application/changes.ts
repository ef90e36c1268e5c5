import { environmentOf } from '../../config/load';
import type { CommandConfig } from '../../config/schema';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { runFencedCommand } from '../postgres/session/fenced-change';
import type { Fence, Place } from '../../contract/place';
import type { CommandResult } from '../support/configured-command';

export interface ChangeInput extends Place {
  /** Of the lease under which the change is made. */
  fence: Fence;
}

/**
 * Changes of a running application, by the commands of the configuration. An application keeps no fence, so the one in
 * its database is taken right before; the command gets the token too, as RUNBOOKS_FENCING_TOKEN. A retry runs the command
 * again: whoever configures one makes it repeatable.
 */
export function createApplicationChangeActivities(deps: ActivityDeps) {
  /** Where nothing is configured nothing happens, and the result says so. */
  async function change(
    { service, environment, fence }: ChangeInput,
    name: 'setPoolMax' | 'restart',
    variables: Record<string, string> = {},
  ): Promise<CommandResult> {
    const command: CommandConfig | undefined = environmentOf(deps.config, service, environment).application?.[
      name
    ];
    if (command === undefined) return { ran: false, detail: `no ${name} configured`, durationMs: 0 };
    return runFencedCommand(deps, { service, environment, fence }, command, name, variables);
  }

  return {
    /**
     * Sets the size of the application's pool; POOL_MAX is in the command's environment. Safe to retry: it sets and does
     * not add. Throws InvalidInput, StaleFencingToken, WrongDatabase, DatabaseUnreachable, CommandFailed.
     */
    async setPoolMax(input: ChangeInput & { poolMax: number }): Promise<CommandResult> {
      if (!Number.isSafeInteger(input.poolMax) || input.poolMax < 1)
        throw fail('InvalidInput', `A pool of ${input.poolMax} connections is none. Nothing was changed.`);
      return change(input, 'setPoolMax', { POOL_MAX: String(input.poolMax) });
    },

    /**
     * Restarts the application. A retry after a lost worker restarts it once more. Throws StaleFencingToken,
     * WrongDatabase, DatabaseUnreachable, CommandFailed.
     */
    async restartApplication(input: ChangeInput): Promise<CommandResult> {
      return change(input, 'restart');
    },
  };
}
