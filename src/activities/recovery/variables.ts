import { ApplicationFailure } from '@temporalio/common';
import { environmentOf } from '../../config/load';
import type { CommandConfig } from '../../config/schema';
import type { EnvironmentWith } from '../../config/settings';
import type { Place } from '../../contract/place';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import type { recoverySettings } from './settings';

/** Of the environment variables of an application: names, and never a value. */
export interface Variables {
  configured: boolean;
  required: number;
  missing: string[];
}

/** The environment of an application. */
export function createVariableActivities(deps: ActivityDeps) {
  return {
    /**
     * Which of the required environment variables are not set. Reads only, so a retry is safe. Only names out of the
     * configuration are told: a command that prints values after all gives none of them away. Throws CommandFailed.
     */
    async readVariables({ service, environment }: Place): Promise<Variables> {
      const { recovery } = environmentOf(deps.config, service, environment) as EnvironmentWith<
        typeof recoverySettings
      >;
      if (recovery?.variables === undefined) return { configured: false, required: 0, missing: [] };
      const { required, list } = recovery.variables;
      const printed = await readConfiguredCommand(deps, list, {
        RUNBOOKS_SERVICE: service,
        RUNBOOKS_ENVIRONMENT: environment,
      }).catch((error: unknown) => withoutOutput(list, error));
      const set = new Set(printed.split('\n').map((line) => line.split('=', 1)[0]!.trim()));
      return {
        configured: true,
        required: required.length,
        missing: required.filter((name) => !set.has(name)),
      };
    },
  };
}

/** What it printed before it failed may be values. */
function withoutOutput({ run }: CommandConfig, error: unknown): never {
  if (!(error instanceof ApplicationFailure) || error.type !== 'CommandFailed') throw error;
  throw fail(
    'CommandFailed',
    `\`${run.join(' ')}\` failed; what it printed is not shown, because it may be values. Run it by hand to see why.`,
  );
}
