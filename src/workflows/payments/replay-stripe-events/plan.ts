import type { Drift, SubscriptionLook } from '../../../activities/payments/stripe/subscriptions';
import type { EventLook, FailedPayments } from '../../../activities/payments/stripe/undelivered';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, digest, type PlanDraft } from '../../kit';

export interface Look {
  events: EventLook;
  subscriptions: SubscriptionLook;
}

const MAX_NAMED = 10;

export function draftOf(place: Place, { events, subscriptions }: Look, unchecked: string[]): PlanDraft {
  const target = targetOf(place);
  const { missing, endpoint, lost } = events;
  const { drifts } = subscriptions;
  const people = findingsOf({ events, subscriptions });
  const actions: PlanDraft['actions'] = [];
  if (!endpoint.enabled)
    actions.push({
      action: 'a task for a person: switch the webhook endpoint on',
      target: endpoint.host,
      detail: `Stripe has switched ${endpoint.id} off`,
    });
  if (missing.length > 0)
    actions.push({
      action: 'have Stripe send events again',
      target: endpoint.host,
      count: missing.length,
      detail: eventsText(events),
    });
  if (drifts.length > 0)
    actions.push({
      action:
        missing.length > 0
          ? 'compare subscriptions again, and ask about those that still differ'
          : CORRECT_SUBSCRIPTIONS,
      target,
      count: drifts.length,
      detail: driftsText(drifts),
    });
  if (people.length > 0)
    actions.push({ action: 'a task for a person', target, count: people.length, detail: people.join('; ') });
  return {
    actions,
    warnings: [
      ...(missing.length > 0 ? ['what is sent again cannot be taken back'] : []),
      ...(events.others > 0
        ? [`${countOf(events.others, 'more event')} missing than one run sends: start again for them`]
        : []),
      ...events.unconfigured,
      ...subscriptions.warnings,
      ...unchecked,
    ],
    facts: {
      events: digest(missing.map(({ id }) => id)),
      lost: digest(lost),
      endpoint: endpoint.enabled,
      drifts: digest(drifts),
    },
  };
}

export const CORRECT_SUBSCRIPTIONS = 'correct subscriptions from Stripe';

/** The second plan of a run that has had events sent. */
export function driftDraftOf(
  place: Place,
  { drifts, warnings }: SubscriptionLook,
  unchecked: string[],
): PlanDraft {
  return {
    actions: [
      {
        action: CORRECT_SUBSCRIPTIONS,
        target: targetOf(place),
        count: drifts.length,
        detail: driftsText(drifts),
      },
    ],
    warnings: [...warnings, ...unchecked],
    facts: { drifts: digest(drifts) },
  };
}

/** What only people can put right. */
export function findingsOf({ events, subscriptions }: Look): string[] {
  const { lost, doubled, more } = events;
  return [
    ...(more
      ? [
          'Stripe lists more undelivered events than are read, and nobody has looked at the oldest: narrow stripe.types or stripe.days, and start again',
        ]
      : []),
    ...(lost.length > 0
      ? [`${named(lost)}: not recorded, and Stripe has ${lost.length === 1 ? 'it' : 'them'} no more`]
      : []),
    ...(doubled.length > 0 ? [`${named(doubled)}: recorded as applied more than once`] : []),
    ...subscriptions.findings,
  ];
}

/** `3 events: evt_1 (invoice.paid), ...` */
export function eventsText({ missing }: Pick<EventLook, 'missing'>): string {
  const shown = missing.slice(0, MAX_NAMED).map(({ id, type }) => `${id} (${type})`);
  return `${countOf(missing.length, 'event')}: ${shown.join(', ')}${moreThan(missing.length)}`;
}

export function lookText(look: EventLook): string {
  const { missing, others, recorded, elsewhere, young, lost, days, endpoint } = look;
  return [
    missing.length === 0 ? 'no event is missing' : `missing: ${eventsText(look)}`,
    ...(others > 0 ? [`${others} more`] : []),
    `${recorded} recorded though Stripe calls them undelivered`,
    ...(young > 0 ? [`${young} still on their way`] : []),
    ...(elsewhere > 0 ? [`${elsewhere} for other endpoints`] : []),
    ...(lost.length > 0 ? [`${lost.length} that Stripe has no more`] : []),
    `within ${countOf(days, 'day')}; endpoint ${endpoint.id} (${endpoint.host}) is switched ${endpoint.enabled ? 'on' : 'off'}`,
  ].join(', ');
}

export function subscriptionsText({ configured, compared, drifts, findings }: SubscriptionLook): string {
  if (!configured) return 'not compared: no table of them is configured';
  const found = drifts.length === 0 ? 'none differs' : driftsText(drifts);
  return [`${compared} compared, ${found}`, ...findings].join('; ');
}

/** `2 subscriptions: 7 (status past_due -> active), ...` */
export function driftsText(drifts: Drift[]): string {
  const shown = drifts.slice(0, MAX_NAMED).map(({ id, changes }) => {
    const what = Object.entries(changes).map(
      ([name, { from, to }]) => `${name} ${from ?? 'nothing'} -> ${to}`,
    );
    return `${id} (${what.join(', ')})`;
  });
  return `${countOf(drifts.length, 'subscription')}: ${shown.join(', ')}${moreThan(drifts.length)}`;
}

export function failedPaymentsText({ count, more, named: shown }: FailedPayments): string {
  if (count === 0) return 'no payment failed';
  return `${more ? 'at least ' : ''}${countOf(count, 'failed payment')}, the newest: ${shown.join(', ')}`;
}

export function named(ids: string[]): string {
  return `${ids.length === 1 ? 'event' : 'events'} ${ids.slice(0, MAX_NAMED).join(', ')}${moreThan(ids.length)}`;
}

function moreThan(count: number): string {
  return count > MAX_NAMED ? ` and ${count - MAX_NAMED} more` : '';
}
