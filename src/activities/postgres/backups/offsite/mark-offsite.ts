import type { BackupRef } from '../../../../contract/backup';
import type { ActivityDeps } from '../../../support/deps';
import { openBucket } from './bucket';
import { hasManifest, offsiteFolder } from './offsite-store';

/** Puts a mark beside a copy off site. False where there is no such copy, or no place off site. */
export async function markOffsite(
  deps: ActivityDeps,
  { service, environment, backupId }: BackupRef,
  path: string,
  text: string,
): Promise<boolean> {
  const bucket = openBucket(deps, service);
  if (bucket === undefined) return false;
  try {
    const folder = offsiteFolder(service, environment, backupId);
    if (!(await hasManifest(bucket, folder))) return false;
    await bucket.putText(`${folder}${path}`, text, { locked: false });
    // The retention takes the manifest first, and then looks for marks: one of the two sees the other.
    return await hasManifest(bucket, folder);
  } finally {
    bucket.close();
  }
}
