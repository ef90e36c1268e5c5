import type { Aftermath } from '../../../activities/payments/webhooks/aftermath';
import type { FailedEvent, WebhookLook } from '../../../activities/payments/webhooks/event-log';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, digest, type PlanDraft } from '../../kit';

const MAX_NAMED = 10;

export function draftOf(place: Place, look: WebhookLook, unchecked: string[]): PlanDraft {
  const target = targetOf(place);
  const { failed, others, twins, aftermath, unconfigured } = look;
  const people = findingsOf(aftermath);
  return {
    actions: [
      ...(failed.length > 0
        ? [{ action: 'replay failed events', target, count: failed.length, detail: eventsText(failed) }]
        : []),
      ...(people.length > 0
        ? [{ action: 'a task for a person', target, count: people.length, detail: people.join('; ') }]
        : []),
    ],
    warnings: [
      ...(failed.length > 0 ? ['what the application does with an event cannot be taken back'] : []),
      ...(twins.length > 0 ? [`not replayed: ${twinsText(look)}`] : []),
      ...(others > 0
        ? [`${countOf(others, 'more event')} failed than one run replays: start again for them`]
        : []),
      ...unconfigured,
      ...unchecked,
    ],
    facts: {
      events: digest(failed.map(({ id }) => id)),
      twins: digest(twins),
      people: people.length,
    },
  };
}

/** What only people can put right. */
export function findingsOf({ ledger, payouts }: Aftermath): string[] {
  return [
    ...(ledger !== null && ledger.missing + ledger.tooMany > 0 ? [ledgerText(ledger)] : []),
    ...(payouts !== null && payouts.overdue > 0
      ? [
          `${countOf(payouts.overdue, 'payout job')} overdue: ${payouts.named.join(', ')}${moreThan(payouts.overdue)}`,
        ]
      : []),
  ];
}

/** `2 events without their ledger entries: evt_1 (0 of 1), ...` */
export function ledgerText({ missing, tooMany, named }: NonNullable<Aftermath['ledger']>): string {
  if (missing + tooMany === 0) return 'the ledger entries are there';
  const what = [
    ...(missing > 0 ? [`${countOf(missing, 'event')} without ledger entries`] : []),
    ...(tooMany > 0 ? [`${countOf(tooMany, 'event')} with too many`] : []),
  ];
  return `${what.join(', ')}: ${named.join(', ')}${moreThan(missing + tooMany)}`;
}

export function aftermathText({ ledger, payouts }: Aftermath): string {
  return [
    ledger === null ? 'the ledger is not looked at' : ledgerText(ledger),
    payouts === null ? 'payout jobs are not looked at' : `${countOf(payouts.overdue, 'payout job')} overdue`,
  ].join('; ');
}

export function lookText(look: WebhookLook): string {
  const { failed, others, twins, aftermath } = look;
  return [
    failed.length === 0 ? 'no event failed that is to be replayed' : `failed: ${eventsText(failed)}`,
    ...(others > 0 ? [`${others} more`] : []),
    ...(twins.length > 0 ? [`not to be replayed: ${twinsText(look)}`] : []),
    aftermathText(aftermath),
  ].join('; ');
}

/** `3 events: evt_1 (payment.succeeded: boom), ...` */
export function eventsText(events: FailedEvent[]): string {
  const shown = events.slice(0, MAX_NAMED).map(({ event, kind, error }) => {
    const about = [kind, error].filter((text) => text !== null && text !== '').join(': ');
    return about === '' ? event : `${event} (${about.slice(0, 120)})`;
  });
  return `${countOf(events.length, 'event')}: ${shown.join(', ')}${moreThan(events.length)}`;
}

export function twinsText({ twins, allTwins }: WebhookLook): string {
  const shown = twins
    .slice(0, MAX_NAMED)
    .map(
      ({ id, event, of, applied }) =>
        `row ${id} (${event} is row ${of}, which ${applied ? 'was applied' : 'failed first'})`,
    );
  return `${shown.join(', ')}${moreThan(allTwins)}`;
}

function moreThan(count: number): string {
  return count > MAX_NAMED ? ` and ${count - MAX_NAMED} more` : '';
}
