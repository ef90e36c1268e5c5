import type { VersioningBehavior } from '@temporalio/common';

/** A global that a worker with Worker Versioning sets in front of the bundle. */
export const VERSIONED_FLAG = 'runbooksWorkerIsVersioned';

/**
 * The workflow option that says whether a run ends on the version that it began on (PINNED) or moves on to each new one
 * (AUTO_UPGRADE). Nothing on a worker without Worker Versioning: the server refuses every task that names a behaviour
 * there. A run may come from one kind of worker to the other, so what counts is the worker and never the history.
 */
export function versioned(versioningBehavior: VersioningBehavior): {
  versioningBehavior?: VersioningBehavior;
} {
  return VERSIONED_FLAG in globalThis ? { versioningBehavior } : {};
}
