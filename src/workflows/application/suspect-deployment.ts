import type { Deployment } from '../../activities/deployments/deployment-list';
import { duration, utc } from '../../contract/text';
import { currentOf } from './choose-deployment';
import { describeDeployment, nameOf } from './name-deployment';

// A clock that runs ahead must not acquit a deployment.
const CLOCK_SKEW_MS = 60_000;

export interface Suspect {
  current: Deployment;
  cause: string;
  evidence: string;
}

/** Whether what was deployed so long before the trouble may be its cause; what came after it is no cause, and may be the remedy. */
export function maySuspect(ageMs: number, suspectMs: number): boolean {
  return ageMs <= suspectMs && ageMs >= -CLOCK_SKEW_MS;
}

/** What is in front, where it came shortly before the trouble; `trouble` in the plural, e.g. `errors`. */
export function suspectOf(
  deployments: Deployment[],
  { suspectMs, beganAtMs }: { suspectMs: number | null; beganAtMs: number },
  trouble: string,
): Suspect | undefined {
  const current = currentOf(deployments);
  if (current === undefined || suspectMs === null) return undefined;
  const ageMs = beganAtMs - Date.parse(current.createdAt);
  if (!maySuspect(ageMs, suspectMs)) return undefined;
  const seenAt = utc(new Date(beganAtMs).toISOString());
  return {
    current,
    cause: `the deployment of ${nameOf(current)}`,
    evidence: `${describeDeployment(current)} was deployed ${duration(Math.max(0, ageMs))} before the ${trouble} were seen (${seenAt} UTC)`,
  };
}
