import type { Deployment } from '../../activities/deployments/deployment-list';
import { utc } from '../kit';

/** `1.4.1 (dep-2 of 2026-11-19 07:35:12 UTC, commit 9be2f0c)` */
export function describeDeployment({ id, version, commit, createdAt }: Deployment): string {
  const more = `of ${utc(createdAt)} UTC${commit === undefined ? '' : `, commit ${commit}`}`;
  return version === undefined ? `${id} (${more})` : `${version} (${id} ${more})`;
}

/** For titles and summaries: the version, or the ID where there is none. */
export function nameOf({ id, version }: Deployment): string {
  return version ?? id;
}
