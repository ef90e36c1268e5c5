import type { GuardState, Holder } from '../../contract/guard';
import { activitiesFor } from '../kit/presets';
import { endedOf } from './lasting';

const REMIND_MS = 24 * 3_600_000;

/** When people are to be reminded next. It stands in the state: a guard for which somebody waits continues as new within the hour. */
export function remindAt({ since, remindedAt = since }: Holder): number {
  return Date.parse(remindedAt) + REMIND_MS;
}

/** A lease that a run left behind for a person is easily forgotten; one that still runs reminds people itself. */
export async function remind({ target, holder }: GuardState): Promise<void> {
  if (holder?.kept === undefined || (await endedOf([holder])).length === 0) return;
  const { workflowId, kept, since } = holder;
  const text = `${workflowId} needed a person and still keeps the lease of ${target}, since ${since}: ${kept}. No run acts there until somebody has looked: \`runbooks guard ${target} --free --reason "<what you did>"\``;
  const [service = target] = target.split('/');
  await activitiesFor('read', 'Remind people of a lease that is kept')
    .announce({
      service,
      text,
      workflowId,
      title: `Lease of ${target}`,
      kind: 'page',
      rung: null,
      threads: {},
    })
    .catch(() => undefined);
}
