import type { BackupRef } from '../../../../contract/backup';
import type { ActivityDeps } from '../../../support/deps';
import { MANIFEST_FILE } from '../manifest';
import { openBucket } from './bucket';
import { offsiteFolder } from './offsite-store';

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
    if ((await bucket.list(`${folder}${MANIFEST_FILE}`)).length === 0) return false;
    await bucket.putText(`${folder}${path}`, text, { locked: false });
    return true;
  } finally {
    bucket.close();
  }
}
