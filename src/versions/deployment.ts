import type { Client } from '@temporalio/client';
import { temporal } from '@temporalio/proto';

const STATUS = temporal.api.enums.v1.WorkerDeploymentVersionStatus;
const DRAINAGE = temporal.api.enums.v1.VersionDrainageStatus;

/** `inactive`: never had runs. `draining`: runs are pinned to it. `drained`: none any longer. */
export type VersionState = 'inactive' | 'current' | 'ramping' | 'draining' | 'drained';

export interface DeploymentVersion {
  buildId: string;
  state: VersionState;
  /** When it came into that state; undefined where the server does not say. */
  sinceMs: number | undefined;
}

/** A Worker Deployment as the server knows it. */
export interface Deployment {
  name: string;
  /** Newest first. */
  versions: DeploymentVersion[];
  /** Makes a change fail that somebody else came before. */
  conflictToken: Uint8Array;
}

/** Thrown when the server knows no Worker Deployments, or has them switched off. */
export class DeploymentsUnsupported extends Error {
  constructor(details: string) {
    super(
      `Temporal has no Worker Deployments here: ${details}. They need a server of 1.28 or newer on which system.enableDeploymentVersions was not switched off. Without them remove worker.deploymentName from the configuration.`,
    );
    this.name = 'DeploymentsUnsupported';
  }
}

// gRPC status codes.
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;

/**
 * Reads a Worker Deployment; undefined where no worker of it was ever seen. Throws DeploymentsUnsupported.
 */
export async function readDeployment(client: Client, name: string): Promise<Deployment | undefined> {
  try {
    const { workerDeploymentInfo, conflictToken } = await client.workflowService.describeWorkerDeployment({
      namespace: client.options.namespace,
      deploymentName: name,
    });
    const summaries = [...(workerDeploymentInfo?.versionSummaries ?? [])].sort(
      (a, b) => (millis(b.createTime) ?? 0) - (millis(a.createTime) ?? 0),
    );
    return { name, versions: summaries.map(versionOf), conflictToken: conflictToken ?? new Uint8Array() };
  } catch (error) {
    const { code, details = '' } = error as { code?: number; details?: string };
    if (code === NOT_FOUND) return undefined;
    if (
      code === UNIMPLEMENTED ||
      (code === PERMISSION_DENIED && /deployment versions are disabled/i.test(details))
    )
      throw new DeploymentsUnsupported(details);
    throw error;
  }
}

type Summary = temporal.api.deployment.v1.WorkerDeploymentInfo.IWorkerDeploymentVersionSummary;

function versionOf(summary: Summary): DeploymentVersion {
  const { deploymentVersion, currentSinceTime, rampingSinceTime, drainageInfo, createTime } = summary;
  const state = stateOf(summary);
  const since = {
    current: currentSinceTime,
    ramping: rampingSinceTime,
    draining: drainageInfo?.lastChangedTime,
    drained: drainageInfo?.lastChangedTime,
    inactive: createTime,
  }[state];
  return { buildId: deploymentVersion?.buildId ?? '', state, sinceMs: millis(since) };
}

/** From the status; a server of 1.27 fills in only what it is made of. */
function stateOf({ status, currentSinceTime, rampingSinceTime, drainageInfo }: Summary): VersionState {
  if (status === STATUS.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT || currentSinceTime) return 'current';
  if (status === STATUS.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING || rampingSinceTime) return 'ramping';
  switch (drainageInfo?.status) {
    case DRAINAGE.VERSION_DRAINAGE_STATUS_DRAINED:
      return 'drained';
    case DRAINAGE.VERSION_DRAINAGE_STATUS_DRAINING:
      return 'draining';
    default:
      return 'inactive';
  }
}

type Time = temporal.api.deployment.v1.IWorkerDeploymentInfo['createTime'];

function millis(time: Time): number | undefined {
  if (time === null || time === undefined) return undefined;
  return Number(time.seconds ?? 0) * 1_000 + Math.floor(Number(time.nanos ?? 0) / 1_000_000);
}
