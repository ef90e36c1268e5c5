import type { Announcement } from '../../activities/notifications/message';
import { activitiesFor } from '../kit/presets';

const FIRST_RETRY_MS = 60_000;
const MAX_RETRY_MS = 3_600_000;

/** What could not be sent is sent again after a minute, and then at growing distances of up to an hour. */
export function retryAfterMs(times: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), MAX_RETRY_MS);
}

/** Pages every channel of the target's service. False where channels failed and none took it; there may be none at all. */
export async function page(
  summary: string,
  { target, ...words }: Pick<Announcement, 'workflowId' | 'title' | 'text'> & { target: string },
): Promise<boolean> {
  const [service = target] = target.split('/');
  const { announce } = activitiesFor('read', summary);
  try {
    const { told, problems } = await announce({ ...words, service, kind: 'page', rung: null, threads: {} });
    return told.length > 0 || problems.length === 0;
  } catch {
    return false;
  }
}
