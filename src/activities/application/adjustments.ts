import { environmentOf } from '../../config/load';
import type { Adjustment } from '../../config/operation-schema';
import type { Fence, Place } from '../../contract/place';
import { runFencedCommand } from '../postgres/session/fenced-command';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';

/** What gives a running application more room for a while, or for good. */
export function createAdjustmentActivities(deps: ActivityDeps) {
  return {
    /**
     * Applies one, or takes it back. A retry runs the command again: whoever configures one makes it repeatable. Where none
     * is configured nothing happens, and the result says so. Throws StaleFencingToken, FenceBusy, WrongDatabase,
     * DatabaseUnreachable, CommandFailed.
     */
    async adjustApplication(
      input: Place & { adjustment: Adjustment; to: 'apply' | 'restore'; fence: Fence },
    ): Promise<CommandResult> {
      const { service, environment, adjustment, to } = input;
      const command = environmentOf(deps.config, service, environment).application?.[adjustment]?.[to];
      if (command === undefined) return { ran: false, detail: `no ${adjustment} configured`, durationMs: 0 };
      return runFencedCommand(deps, input, command, `${adjustment}.${to}`);
    },
  };
}
