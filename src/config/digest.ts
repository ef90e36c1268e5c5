import { createHash } from 'node:crypto';
import type { LoadedConfig } from './load';

/**
 * Eight hex digits that differ where two configurations do, whatever their comments and order. Without what may rightly
 * differ between machines: where the file lies, how Temporal is reached from there, the worker's own address and host.
 */
export function configDigest({ temporal, worker, services, ...rest }: LoadedConfig): string {
  const { postgresBin, packs, limits, alerts, schedules } = rest;
  const { taskQueue } = temporal;
  const { deploymentName, hostLostSeconds } = worker;
  const same = {
    ...{ services, postgresBin, packs, limits, alerts, schedules },
    ...{ taskQueue, deploymentName, hostLostSeconds },
  };
  return createHash('sha256')
    .update(JSON.stringify(ordered(same)))
    .digest('hex')
    .slice(0, 8);
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, ordered(one)]));
}

const DIGEST = / config:([0-9a-f]{8})$/;

/** For the identity of a worker, which Temporal shows to whoever asks who listens. */
export function withDigest(identity: string, config: LoadedConfig): string {
  return `${identity} config:${configDigest(config)}`;
}

/** Undefined where a worker does not say: an older one, or one of somebody else's. */
export function digestIn(identity: string): string | undefined {
  return DIGEST.exec(identity)?.[1];
}
