import { configDigest, digestIn } from '../config/worker-identity';
import type { LoadedConfig } from '../config/load';
import { DeploymentsUnsupported, readDeployment } from '../versions/deployment';
import { obstacleOf, readQueue, takersOf } from '../versions/queue';
import type { CheckLine, Reached } from './connections';

const WHAT = 'workers';

function isOfAnother(identity: string, config: LoadedConfig): boolean {
  const digest = digestIn(identity);
  return digest !== undefined && digest !== configDigest(config);
}

/** Who takes new runs, and whether Temporal has what the configuration asks of it. */
export async function checkWorkers({ client, taskQueue }: Reached, config: LoadedConfig): Promise<CheckLine> {
  const { deploymentName } = config.worker;
  try {
    if (deploymentName !== undefined) await readDeployment(client, deploymentName);
  } catch (error) {
    if (error instanceof DeploymentsUnsupported)
      return { what: WHAT, state: 'failed', detail: error.message };
    throw error;
  }
  const queue = await readQueue(client, taskQueue);
  const obstacle = obstacleOf(queue);
  if (obstacle !== undefined) return { what: WHAT, state: 'warning', detail: obstacle };
  const { current } = queue;
  const version =
    current === undefined
      ? 'without a version'
      : `of version ${current.buildId} of ${current.deploymentName}`;
  const listen = `${takersOf(queue).length} ${version} take new runs`;
  const others = takersOf(queue).filter(({ identity }) => isOfAnother(identity, config));
  if (others.length > 0) {
    const who = others.map(({ identity }) => identity).join(', ');
    return {
      what: WHAT,
      state: 'warning',
      detail: `${listen}, and ${others.length} of them run with another configuration than this file: ${who}. What was changed does not hold there before they are restarted with it`,
    };
  }
  if (current?.deploymentName === deploymentName) return { what: WHAT, state: 'ok', detail: listen };
  const detail =
    deploymentName === undefined
      ? `${listen}, and worker.deploymentName is not set: a worker started with this configuration gets none of them. Set it, or go back with \`runbooks versions set-current --unversioned --deployment ${current?.deploymentName}\``
      : `${listen}, and worker.deploymentName is ${deploymentName}, of which no version is current: \`runbooks versions set-current\``;
  return { what: WHAT, state: 'warning', detail };
}
