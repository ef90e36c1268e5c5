import { environmentOf } from '../../config/load';
import type { Adjustment } from '../../config/operation-schema';
import type { Fence, Place } from '../../contract/place';
import { runFencedCommand } from '../postgres/session/fenced-change';
import { readConfiguredCommand, type CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { currentActivity } from '../support/heartbeat';

export interface AdjustmentResult extends CommandResult {
  /** It was applied before: whoever applied it takes it back. Never said of a later attempt: the first may have done it. */
  already?: boolean;
}

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
    ): Promise<AdjustmentResult> {
      const { service, environment, adjustment, to } = input;
      const commands = environmentOf(deps.config, service, environment).application?.[adjustment];
      if (commands === undefined) return { ran: false, detail: `no ${adjustment} configured`, durationMs: 0 };
      const { current } = commands;
      const change = () => runFencedCommand(deps, input, commands[to], `${adjustment}.${to}`);
      if (current === undefined || to === 'restore') return change();
      const variables = { RUNBOOKS_SERVICE: service, RUNBOOKS_ENVIRONMENT: environment };
      const before = await readConfiguredCommand(deps, current, variables);
      const result = await change();
      const after = await readConfiguredCommand(deps, current, variables);
      return { ...result, already: currentActivity().attempt === 1 && before === after };
    },
  };
}
