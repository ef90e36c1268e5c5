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
  /** Where new runs go; undefined: to workers without a version. */
  current: string | undefined;
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
  const { namespace } = client.options;
  try {
    const { workerDeploymentInfo, conflictToken } = await supported(() =>
      client.workflowService.describeWorkerDeployment({ namespace, deploymentName: name }),
    );
    const summaries = [...(workerDeploymentInfo?.versionSummaries ?? [])].sort(
      (a, b) => (millis(b.createTime) ?? 0) - (millis(a.createTime) ?? 0),
    );
    const current = workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId ?? undefined;
    const versions = summaries.map((summary) => versionOf(summary, current));
    return { name, current, versions, conflictToken: conflictToken ?? new Uint8Array() };
  } catch (error) {
    if ((error as { code?: number }).code !== NOT_FOUND) throw error;
    // A server that has them switched off does not find it either, but refuses to list them.
    await supported(() => client.workflowService.listWorkerDeployments({ namespace, pageSize: 1 }));
    return undefined;
  }
}

async function supported<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const { code, details = '' } = error as { code?: number; details?: string };
    const switchedOff = code === PERMISSION_DENIED && /deployment versions are disabled/i.test(details);
    if (code === UNIMPLEMENTED || switchedOff) throw new DeploymentsUnsupported(details);
    throw error;
  }
}

type Summary = temporal.api.deployment.v1.WorkerDeploymentInfo.IWorkerDeploymentVersionSummary;

function versionOf(summary: Summary, current: string | undefined): DeploymentVersion {
  const { deploymentVersion, currentSinceTime, rampingSinceTime, drainageInfo, createTime } = summary;
  // The summaries follow the routing a moment later.
  const state = deploymentVersion?.buildId === current ? 'current' : stateOf(summary);
  const since = {
    current: currentSinceTime,
    ramping: rampingSinceTime,
    draining: drainageInfo?.lastChangedTime,
    drained: drainageInfo?.lastChangedTime,
    inactive: createTime,
  }[state];
  return { buildId: deploymentVersion?.buildId ?? '', state, sinceMs: millis(since) };
}

/** A server of 1.27 fills in no status, only what it is made of. */
function stateOf({ status, rampingSinceTime, drainageInfo }: Summary): VersionState {
  if (status === STATUS.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING || rampingSinceTime) return 'ramping';
  switch (drainageInfo?.status) {
    case DRAINAGE.VERSION_DRAINAGE_STATUS_DRAINED:
      return 'drained';
    case DRAINAGE.VERSION_DRAINAGE_STATUS_DRAINING:
      return 'draining';
    default:
      // Just taken out of the front, it has runs still.
      return status === STATUS.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT ? 'draining' : 'inactive';
  }
}

type Time = temporal.api.deployment.v1.IWorkerDeploymentInfo['createTime'];

function millis(time: Time): number | undefined {
  if (time === null || time === undefined) return undefined;
  return Number(time.seconds ?? 0) * 1_000 + Math.floor(Number(time.nanos ?? 0) / 1_000_000);
}
