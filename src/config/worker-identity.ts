import { createHash } from 'node:crypto';
import type { LoadedConfig } from './load';
import { resolveSecrets } from './secrets';
import type { CodecConfig } from './temporal-schema';
import { VERSION } from './version';
import { workerHostOf } from './worker-host';

/**
 * Eight hex digits that differ where two configurations do, whatever their comments and order. Without what may rightly
 * differ between machines: where the file lies, how Temporal is reached from there, the worker's own address and host, and
 * from where it has a key that encrypts. The key itself counts: what one of them encrypts the other must be able to read.
 */
export function configDigest({ temporal, worker, services, ...rest }: LoadedConfig): string {
  const { postgresBin, packs, limits, alerts, schedules } = rest;
  const { taskQueue, codec } = temporal;
  const { deploymentName, hostLostSeconds } = worker;
  const same = {
    ...{ services, postgresBin, packs, limits, alerts, schedules },
    ...{ taskQueue, deploymentName, hostLostSeconds },
    ...(codec === undefined ? {} : { keys: codec.keys.map((key) => keyDigest(key, rest.directory)) }),
  };
  return createHash('sha256')
    .update(JSON.stringify(ordered(same)))
    .digest('hex')
    .slice(0, 8);
}

/** A key is random and long enough that its hash gives nothing away. */
function keyDigest({ id, secret }: CodecConfig['keys'][number], directory: string): string {
  const key = secretOr(secret, directory);
  return `${id} ${createHash('sha256').update(key).digest('hex')}`;
}

/** Whoever lacks a key cannot read anything with it either: that differs from everybody who has it. */
function secretOr(secret: string, directory: string): string {
  try {
    return resolveSecrets(secret, directory);
  } catch {
    return secret;
  }
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, ordered(one)]));
}

const IDENTITY = /^runbooks \S+ \d+@(.+?)(?: config:([0-9a-f]{8}))?$/;

/** Who a worker says it is, which Temporal shows to whoever asks who listens. */
export function workerIdentity(config: LoadedConfig): string {
  return `runbooks ${VERSION} ${process.pid}@${workerHostOf(config)} config:${configDigest(config)}`;
}

/** The host of a worker of ours; undefined for one of somebody else's. */
export function hostIn(identity: string): string | undefined {
  return IDENTITY.exec(identity)?.[1];
}

/** Undefined where a worker does not say: an older one, or one of somebody else's. */
export function digestIn(identity: string): string | undefined {
  return IDENTITY.exec(identity)?.[2];
}
