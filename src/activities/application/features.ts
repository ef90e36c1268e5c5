import { environmentOf, UnknownName } from '../../config/load';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { runFencedCommand } from '../postgres/session/fenced-change';
import type { Fence, Place } from '../../contract/place';
import type { CommandResult } from '../support/configured-command';

/** Features of the application that can be switched while it runs. */
export function createFeatureActivities(deps: ActivityDeps) {
  return {
    /**
     * Switches a configured feature. A retry runs the command again: whoever configures one makes it repeatable. Throws
     * InvalidInput (no such feature), StaleFencingToken, WrongDatabase, DatabaseUnreachable, CommandFailed.
     */
    async switchFeature(
      input: Place & { feature: string; to: 'off' | 'on'; fence: Fence },
    ): Promise<CommandResult> {
      const { service, environment, feature: name, to } = input;
      const features = environmentOf(deps.config, service, environment).application?.features ?? [];
      const feature = features.find((one) => one.name === name);
      if (feature === undefined) {
        const known = features.map((one) => one.name);
        throw fail(
          'InvalidInput',
          new UnknownName(`feature of ${service}/${environment}`, name, known).message,
        );
      }
      const command = to === 'off' ? feature.disable : feature.enable;
      return runFencedCommand(deps, input, command, `switching ${name} ${to}`, { FEATURE: name });
    },
  };
}
