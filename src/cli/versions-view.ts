import type { Client } from '@temporalio/client';
import type { Deployment } from '../versions/deployment';
import { readPinnedRuns } from '../versions/pinned-runs';
import type { Queue } from '../versions/queue';
import { meaningOf, type VersionView } from './versions-text';

/** Adds to each version its workers and its runs. */
export async function viewsOf(
  client: Client,
  { name, versions }: Deployment,
  queue: Queue,
): Promise<VersionView[]> {
  const views: VersionView[] = [];
  for (const version of versions) {
    const { buildId } = version;
    const workers = queue.workers.filter(
      (one) => one.version?.buildId === buildId && one.version.deploymentName === name,
    ).length;
    // A drained version stays one for ever, and there may be a hundred of them.
    const { count, example } =
      version.state === 'drained' || version.state === 'inactive'
        ? { count: 0, example: undefined }
        : await readPinnedRuns(client, name, buildId);
    views.push({
      ...version,
      workers,
      pinnedRuns: count,
      exampleRun: example,
      ...meaningOf(version, workers, count, example),
    });
  }
  return views;
}
