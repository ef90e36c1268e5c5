import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { readDeployment, type Deployment } from './deployment';
import { readQueue, type Queue } from './queue';

/** Thrown when a version cannot become current. Nothing was changed; the message says what to do first. */
export class VersionRefused extends Error {
  constructor(
    readonly kind: 'notFound' | 'refused',
    message: string,
  ) {
    super(message);
    this.name = 'VersionRefused';
  }
}

export interface Wanted {
  taskQueue: string;
  deploymentName: string;
  /** Undefined: workers without a version. */
  buildId: string | undefined;
  /** Who asks for it; the server keeps the name. */
  by: string;
}

// gRPC status codes.
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;
const ABORTED = 10;

// The queues of a worker that has just started reach the server one after the other.
const SETTLE_MS = 15_000;
const LOOK_EVERY_MS = 500;

/**
 * Makes a version the one that new runs and long-lived workflows go to. Only one that a worker listens for: everything
 * new would wait otherwise. Returns what was current before. Setting it twice is harmless. Throws VersionRefused.
 */
export async function setCurrent(client: Client, wanted: Wanted): Promise<{ before: string | undefined }> {
  for (const end = Date.now() + SETTLE_MS; ; await sleep(LOOK_EVERY_MS)) {
    const deployment = await readDeployment(client, wanted.deploymentName);
    if (deployment === undefined)
      throw new VersionRefused(
        'notFound',
        `Temporal knows no deployment ${wanted.deploymentName}: no worker of it has asked for work yet. Start one with \`runbooks worker\` where worker.deploymentName is ${wanted.deploymentName}.`,
      );
    refuseUnknown(deployment, wanted.buildId);
    const { current: before } = deployment;
    if (before === wanted.buildId) return { before };
    const queue = await readQueue(client, wanted.taskQueue);
    if (!hasWorker(queue, wanted)) {
      if (Date.now() > end) throw withoutWorker(queue, wanted);
      continue;
    }
    const refusal = await trySetting(client, deployment, wanted);
    if (refusal === undefined) return { before };
    if (!/missing active task queues/.test(refusal) || Date.now() > end)
      throw new VersionRefused(
        'refused',
        `Temporal refuses to make ${wanted.buildId ?? 'workers without a version'} current in ${wanted.deploymentName}: ${refusal}. Nothing was changed; look with \`runbooks versions\` and try again.`,
      );
  }
}

/** Returns why the server refuses it; undefined when it is done. */
async function trySetting(
  client: Client,
  { conflictToken }: Deployment,
  { deploymentName, buildId, by }: Wanted,
): Promise<string | undefined> {
  try {
    await client.workflowService.setWorkerDeploymentCurrentVersion({
      namespace: client.options.namespace,
      deploymentName,
      buildId: buildId ?? '',
      identity: by,
      conflictToken,
    });
    return undefined;
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    if (code !== FAILED_PRECONDITION && code !== ABORTED && code !== NOT_FOUND) throw error;
    return details ?? (error as Error).message;
  }
}

function refuseUnknown({ name, versions }: Deployment, buildId: string | undefined): void {
  if (buildId === undefined || versions.some((version) => version.buildId === buildId)) return;
  throw new VersionRefused(
    'notFound',
    `No worker of version ${buildId} of ${name} has asked for work yet. Start one with \`runbooks worker\` and try again. Known: ${versions.map((version) => version.buildId).join(', ') || 'none'}.`,
  );
}

function hasWorker({ workers }: Queue, { deploymentName, buildId }: Wanted): boolean {
  return workers.some(({ version }) =>
    buildId === undefined
      ? version === undefined
      : version?.buildId === buildId && version.deploymentName === deploymentName,
  );
}

function withoutWorker({ taskQueue }: Queue, { buildId }: Wanted): VersionRefused {
  const which = buildId === undefined ? 'without a version' : `of version ${buildId}`;
  return new VersionRefused(
    'refused',
    `No worker ${which} listens on task queue ${taskQueue} now: every new run would wait. Start one with \`runbooks worker\` first.`,
  );
}
