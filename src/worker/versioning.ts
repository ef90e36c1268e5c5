import type { Client } from '@temporalio/client';
import type { WorkerOptions } from '@temporalio/worker';
import type { LoadedConfig } from '../config/load';
import { readDeployment } from '../versions/deployment';
import { readQueue } from '../versions/queue';
import { TRACED_FLAG } from '../contract/trace';
import { ENCODED_FLAG } from '../workflows/kit/failure-converter';
import { VERSIONED_FLAG } from '../workflows/kit/versioning';
import type { Bundle } from './build-id';

/** Which workflow code a worker runs, and whether new runs come to it. */
export interface WorkerVersion {
  /** Undefined for a worker without Worker Versioning. */
  deploymentName: string | undefined;
  buildId: string;
  /** Why new runs go elsewhere, and what to do about it; undefined where they come here. */
  note: string | undefined;
}

/**
 * The SDK reads the stack of every promise that a workflow makes, and maps each line of it to its source: for thousands of signals
 * at once that takes longer than the five seconds after which it ends the turn, and with it the process. What comes of it, the
 * stack trace in the Temporal UI, says less than Current Details.
 */
const NO_STACKS = 'Error.stackTraceLimit=0;';

/** What makes a worker run that bundle, and as one of a version where the configuration names a deployment. */
export function bundleOptions(
  { worker: { deploymentName }, temporal: { codec } }: LoadedConfig,
  { code, buildId }: Bundle,
  isTraced = false,
): Pick<WorkerOptions, 'workflowBundle' | 'workerDeploymentOptions'> {
  // On the first line, so that the source map stays true.
  const flags = [...(codec === undefined ? [] : [ENCODED_FLAG]), ...(isTraced ? [TRACED_FLAG] : [])];
  const first = `${NO_STACKS}${flags.map((flag) => `globalThis.${flag}=true;`).join('')}`;
  if (deploymentName === undefined) return { workflowBundle: { code: `${first}${code}` } };
  return {
    workflowBundle: { code: `${first}globalThis.${VERSIONED_FLAG}=true;${code}` },
    workerDeploymentOptions: {
      version: { deploymentName, buildId },
      useWorkerVersioning: true,
      // Each workflow of ours says for itself; a foreign one ends where it began.
      defaultVersioningBehavior: 'PINNED',
    },
  };
}

/** Reads whether new runs come to this worker. Throws DeploymentsUnsupported where it could not even ask for work. */
export async function readVersion(
  client: Client,
  { worker: { deploymentName }, temporal: { taskQueue } }: LoadedConfig,
  buildId: string,
): Promise<WorkerVersion> {
  if (deploymentName !== undefined) await readDeployment(client, deploymentName);
  const { current } = await readQueue(client, taskQueue).catch(noQueues);
  return { deploymentName, buildId, note: noteOn(deploymentName, buildId, current) };
}

const UNIMPLEMENTED = 12;

/** The time-skipping server knows no queues, and so no versions. */
function noQueues(error: unknown): { current?: undefined } {
  if ((error as { code?: unknown }).code === UNIMPLEMENTED) return {};
  throw error;
}

function noteOn(
  deploymentName: string | undefined,
  buildId: string,
  current: { deploymentName: string; buildId: string } | undefined,
): string | undefined {
  if (current?.deploymentName === deploymentName && current?.buildId === buildId) return undefined;
  if (deploymentName === undefined) {
    return current === undefined
      ? undefined
      : `new runs go to version ${current.buildId} of ${current.deploymentName}, and this worker has no version: none comes to it. Set worker.deploymentName, or send them to workers without a version: \`runbooks versions set-current --unversioned --deployment ${current.deploymentName}\``;
  }
  const next = `\`runbooks versions set-current ${buildId}\``;
  return current === undefined
    ? `no version of ${deploymentName} is current: no new run comes to this worker until ${next}`
    : `new runs go to version ${current.buildId} of ${current.deploymentName}; this worker goes on with those of its own version. To send new ones here: ${next}`;
}
