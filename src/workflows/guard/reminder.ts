import type { GuardState, Holder } from '../../contract/guard';
import { now } from './changes';
import { endedOf } from './lasting';
import { page, retryAfterMs } from './page';
import { isSame } from './shape';

const REMIND_MS = 24 * 3_600_000;

/** When people are to be reminded next. It stands in the state: a guard for which somebody waits continues as new within the hour. */
export function remindAt({ since, remindedAt = since, unsent }: Holder): number {
  if (unsent !== undefined) return Date.parse(unsent.at) + retryAfterMs(unsent.times - 1);
  return Date.parse(remindedAt) + REMIND_MS;
}

/**
 * A lease that a run left behind for a person is easily forgotten; one that still runs reminds people itself. `insists`: where
 * nobody could be reached it is tried again soon, and not only the next day.
 */
export async function remind(state: GuardState, insists: boolean): Promise<void> {
  const { holder } = state;
  if (holder?.kept === undefined) return;
  if (!insists) state.holder = { ...holder, remindedAt: now() };
  const reached = await tell(state.target, holder);
  // A person may have freed it meanwhile.
  if (!insists || state.holder === null || !isSame(state.holder, holder)) return;
  const { unsent, ...kept } = state.holder;
  state.holder = reached
    ? { ...kept, remindedAt: now() }
    : { ...kept, unsent: { times: (unsent?.times ?? 0) + 1, at: now() } };
}

async function tell(target: string, holder: Holder): Promise<boolean> {
  if ((await endedOf([holder])).length === 0) return true;
  const { workflowId, kept, since } = holder;
  return page('Remind people of a lease that is kept', {
    target,
    workflowId,
    title: `Lease of ${target}`,
    text: `${workflowId} needed a person and still keeps the lease of ${target}, since ${since}: ${kept}. No run acts there until somebody has looked: \`runbooks guard ${target} --free --reason "<what you did>"\``,
  });
}
