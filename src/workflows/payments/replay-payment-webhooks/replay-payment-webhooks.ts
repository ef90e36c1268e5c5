import type { WebhookLook } from '../../../activities/payments/webhooks/event-log';
import { type Place, targetOf } from '../../../contract/place';
import { uncheckedOf } from '../../database/checks';
import { countOf, type Run, runbook } from '../../kit';
import type { replayPaymentWebhooksCard } from './card';
import { aftermathText, draftOf, eventsText, findingsOf, lookText } from './plan';
import { replay, type Replays } from './replay';

/** Replays what the application received and could not apply, and sees to it that ledger and payouts follow. */
export const replayPaymentWebhooks = runbook<typeof replayPaymentWebhooksCard>(
  'replayPaymentWebhooks',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let look = await diagnose(run, place);
    run.fact('eventsFailed', look.failed.length);
    const unchecked = await uncheckedOf(run, place);
    let stale = false;
    await run.gate(async () => {
      if (stale) look = await again(run, place, look);
      stale = true;
      return draftOf(place, look, unchecked);
    });
    const done = await replay(run, place, look);
    const { applied, superseded } = done;
    run.fact('eventsApplied', applied);
    const left = await leaveToPeople(run, place, done);
    const same = look.allTwins + superseded;
    const twins = same === 0 ? '' : `, ${countOf(same, 'row')} of the same events not replayed`;
    return `${applied} of ${countOf(look.failed.length, 'failed event')} of ${targetOf(place)} applied${twins}${left}`;
  },
);

/** Ends the run where nothing has failed, the ledger adds up and no payout is late. */
async function diagnose(run: Run, place: Place): Promise<WebhookLook> {
  const look = await run.step(
    'Read the log of payment webhooks',
    (act) => act.findFailedPaymentWebhooks(place),
    {
      kind: 'long',
      undo: 'read-only',
      describe: lookText,
    },
  );
  if (look.failed.length > 0 || findingsOf(look.aftermath).length > 0) return look;
  return run.nothingToDo(`no payment webhook of ${targetOf(place)} is to be replayed: ${lookText(look)}`);
}

/** What failed after the plan is none of it, and what was applied since is not replayed: so neither makes another plan. */
async function again(run: Run, place: Place, look: WebhookLook): Promise<WebhookLook> {
  const ids = look.failed.map(({ id }) => id);
  if (ids.length === 0) return diagnose(run, place);
  const { failed } = await run.step(
    'Are they still failed?',
    (act) => act.followPaymentWebhooks({ ...place, ids }),
    {
      describe: (now) => `${now.failed.length} of ${ids.length}`,
    },
  );
  return failed.length > 0 ? look : diagnose(run, place);
}

/** Names what this run could not put right, and waits until somebody has. */
async function leaveToPeople(run: Run, place: Place, { open, untried }: Replays): Promise<string> {
  const aftermath = await run.step(
    'Do ledger and payouts follow?',
    (act) => act.readPaymentAftermath(place),
    {
      describe: aftermathText,
    },
  );
  const never =
    untried === 0 ? '' : `, ${untried} of them not asked for, because none of those before was applied`;
  const found = [
    ...(open.length > 0 ? [`not applied: ${eventsText(open)}${never}`] : []),
    ...findingsOf(aftermath),
  ];
  if (found.length === 0) return '';
  found.forEach((text) => run.note('Finding: left to people', text, { failed: true }));
  const ids = open.map(({ id }) => id);
  await run.task(
    `Payments of ${targetOf(place)} need a person: ${found.join('; ')}. Look at the handler, the ledger and the jobs of payouts; this run ends by itself once they add up.`,
    {
      title: 'Do they add up?',
      everyMs: 120_000,
      call: async (act) => {
        const [now, log] = await Promise.all([
          act.readPaymentAftermath(place),
          act.followPaymentWebhooks({ ...place, ids }),
        ]);
        const left = ids.length - log.applied.length - log.superseded.length;
        return {
          ok: left === 0 && findingsOf(now).length === 0,
          detail: `${countOf(left, 'event')} not applied; ${aftermathText(now)}`,
        };
      },
    },
  );
  return `; people had to see to ${found.join('; ')}`;
}
