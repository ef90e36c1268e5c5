import { ApplicationFailure } from '@temporalio/common';
import { serviceOf } from '../../config/load';
import type { DeploymentsConfig } from '../../config/operation-schema';
import type { ReleaseConfig } from '../../config/release-schema';
import type { CommandConfig } from '../../config/schema';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { parseDeployments, type Deployment } from './deployment-list';

/** What a list command prints, newest first. Throws CommandFailed. */
export async function readDeployments(
  deps: ActivityDeps,
  service: string,
  list: CommandConfig,
  setting?: string,
): Promise<Deployment[]> {
  const output = await readConfiguredCommand(deps, list, { RUNBOOKS_SERVICE: service }).catch(tryAgain);
  const found = parseDeployments(output, `\`${list.run.join(' ')}\` of ${service}`, setting);
  return found.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
}

/** Throws InvalidInput. */
export function deploymentsOf({ config }: ActivityDeps, service: string): DeploymentsConfig {
  const { deployments } = serviceOf(config, service);
  if (deployments !== undefined) return deployments;
  throw fail(
    'InvalidInput',
    `${service} has no \`deployments\` in the configuration: say there how they are listed and promoted.`,
  );
}

/** Throws InvalidInput. */
export function releaseOf(deps: ActivityDeps, service: string): ReleaseConfig {
  const { release } = deploymentsOf(deps, service);
  if (release !== undefined) return release;
  throw fail(
    'InvalidInput',
    `${service} has no \`deployments.release\` in the configuration: say there how a version is deployed.`,
  );
}

/** A command that only reads changes nothing, so one that failed is asked again. */
export function tryAgain(error: unknown): never {
  if (!(error instanceof ApplicationFailure) || error.type !== 'CommandFailed') throw error;
  throw fail('CommandFailed', error.message, { retryable: true });
}
