import { ApplicationFailure } from '@temporalio/workflow';
import type { Deployment } from '../../activities/deployments/deployment-list';
import { describeDeployment } from './name-deployment';

/** What is in front, and what would be put there instead. */
export interface Candidates {
  current: Deployment;
  target: Deployment;
}

/**
 * The newest deployment that is older than the current one, ready, and was not itself rolled back: a version that
 * had to be taken away once is no place to go back to. `wanted` names one instead. Throws NoDeployment.
 */
export function chooseDeployment(deployments: Deployment[], wanted?: string): Candidates {
  const current = currentOf(deployments);
  if (current === undefined)
    throw noDeployment('the list of deployments names none that is in front', deployments);
  if (wanted === undefined) {
    const target = earlierThan(current, deployments);
    if (target !== undefined) return { current, target };
    throw noDeployment(
      `there is nothing to go back to: no good deployment is older than ${describeDeployment(current)}. Deploy a corrected version, or name one with \`deployment\``,
      deployments,
    );
  }
  const target = deployments.find(({ id }) => id === wanted);
  if (target === undefined) throw noDeployment(`there is no deployment "${wanted}"`, deployments);
  if (target.state !== 'ready')
    throw noDeployment(`deployment ${wanted} is ${target.state}, not ready`, deployments);
  return { current, target };
}

export function currentOf(deployments: Deployment[]): Deployment | undefined {
  return deployments.find(({ current }) => current);
}

/** The newest one that can be gone back to, or none. */
export function earlierThan(current: Deployment, deployments: Deployment[]): Deployment | undefined {
  return deployments
    .filter(({ createdAt }) => Date.parse(createdAt) < Date.parse(current.createdAt))
    .filter(({ state, rolledBackAt }) => state === 'ready' && rolledBackAt === undefined)
    .reduce<Deployment | undefined>(
      (newest, one) =>
        newest === undefined || Date.parse(one.createdAt) > Date.parse(newest.createdAt) ? one : newest,
      undefined,
    );
}

function noDeployment(problem: string, deployments: Deployment[]): ApplicationFailure {
  const known = deployments
    .slice(0, 5)
    .map((one) => `${describeDeployment(one)} ${one.rolledBackAt === undefined ? one.state : 'rolled back'}`);
  return ApplicationFailure.nonRetryable(
    `${problem}. Deployments: ${known.length === 0 ? 'none' : known.join('; ')}`,
    'NoDeployment',
  );
}
