import { type Place, targetOf } from '../../../contract/place';
import { uncheckedOf } from '../../database/checks';
import { countOf, type Run, runbook } from '../../kit';
import { agree, compare } from './agree';
import type { replayStripeEventsCard } from './card';
import { deliver, type Delivered } from './deliver';
import {
  draftOf,
  failedPaymentsText,
  findingsOf,
  type Look,
  lookText,
  named,
  subscriptionsText,
} from './plan';

/** Gets the application the events of Stripe that it has missed, and then makes its subscriptions agree with Stripe. */
export const replayStripeEvents = runbook<typeof replayStripeEventsCard>(
  'replayStripeEvents',
  async ({ service, environment, events }, run) => {
    const place = { service, environment };
    let look = await diagnose(run, place, events);
    run.fact('eventsMissing', look.events.missing.length);
    const unchecked = await uncheckedOf(run, place);
    let stale = false;
    await run.gate(async () => {
      if (stale) look = await again(run, place, look, events);
      stale = true;
      return draftOf(place, look, unchecked);
    });
    const delivered = await deliver(run, place, look.events);
    run.fact('eventsArrived', delivered.arrived);
    const sent = look.events.missing.length > 0;
    const { corrected, findings } = await agree(run, place, { before: look.subscriptions, sent, unchecked });
    run.fact('subscriptionsCorrected', corrected);
    const left = await leaveToPeople(run, place, look, { ...delivered, findings });
    return `${delivered.arrived} of ${countOf(look.events.missing.length, 'missing event')} recorded by ${targetOf(place)}, ${countOf(corrected, 'subscription')} corrected${left}`;
  },
);

/** Ends the run where nothing is missing and nothing differs. */
async function diagnose(run: Run, place: Place, named: string[]): Promise<Look> {
  const events = await run.step(
    'Compare undelivered events with the record',
    (act) => act.findMissingStripeEvents({ ...place, events: named }),
    { kind: 'long', undo: 'read-only', describe: lookText },
  );
  const failed = await run.step('Which payments failed?', (act) => act.readFailedPayments(place), {
    describe: failedPaymentsText,
  });
  run.fact('failedPayments', failed.count);
  const look = { events, subscriptions: await compare(run, place) };
  const { missing, endpoint } = events;
  const well =
    missing.length === 0 && look.subscriptions.drifts.length === 0 && findingsOf(look).length === 0;
  if (!well || !endpoint.enabled) return look;
  return run.nothingToDo(
    `no event of Stripe is missing in ${targetOf(place)}: ${lookText(events)}; subscriptions: ${subscriptionsText(look.subscriptions)}`,
  );
}

/** What came after the plan is none of it, and events that have arrived by now are not sent: so events make no other plan. */
async function again(run: Run, place: Place, look: Look, named: string[]): Promise<Look> {
  const { missing } = look.events;
  if (missing.length === 0) return diagnose(run, place, named);
  const events = missing.map(({ id }) => id);
  const now = await run.step(
    'Are they still missing?',
    (act) => act.followStripeEvents({ ...place, events }),
    {
      describe: (followed) => `${followed.missing.length} of ${events.length}`,
    },
  );
  return now.missing.length > 0 ? look : diagnose(run, place, named);
}

/** Names what this run could not put right, and waits until somebody has. */
async function leaveToPeople(
  run: Run,
  place: Place,
  look: Look,
  { lost, refused, never, unsent, findings }: Delivered & { findings: string[] },
): Promise<string> {
  const gone = [...new Set([...look.events.lost, ...lost])];
  const events = { ...look.events, lost: gone };
  const found = [
    ...(never.length > 0 ? [`${named(never)}: sent again, and not recorded`] : []),
    ...(unsent.length > 0 ? [`${named(unsent)}: not sent, because none of those before was recorded`] : []),
    ...refused,
    ...findingsOf({ events, subscriptions: { ...look.subscriptions, findings } }),
  ];
  if (found.length === 0) return '';
  found.forEach((text) => run.note('Finding: left to people', text, { failed: true }));
  const open = [...never, ...unsent];
  // Whether anything else is put right nobody can look up.
  const onlyOpen = open.length > 0 && found.length === Number(never.length > 0) + Number(unsent.length > 0);
  await run.task(
    `${targetOf(place)} and Stripe do not agree, and this run cannot put it right: ${found.join('; ')}. Look at each in the dashboard of Stripe, and put it right in the application${onlyOpen ? '; this run ends by itself once they are recorded' : ''}.`,
    onlyOpen
      ? {
          title: 'Are they recorded?',
          everyMs: 120_000,
          call: async (act) => {
            const { missing } = await act.followStripeEvents({ ...place, events: open });
            return {
              ok: missing.length === 0,
              detail: `${missing.length} of ${open.length} are not recorded`,
            };
          },
        }
      : undefined,
  );
  return `; left to people: ${found.join('; ')}`;
}
