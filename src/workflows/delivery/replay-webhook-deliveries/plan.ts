import type { Delivery, WebhookStatus } from '../../../activities/delivery/webhooks';
import { countOf, type PlanDraft } from '../../kit';
import type { Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';

const MAX_NAMED = 8;

export function statusText({ failed, waiting, more, deliveries }: WebhookStatus): string {
  const least = more ? 'at least ' : '';
  const where = failed === 0 ? '' : `: ${targetsText(deliveries)}`;
  return `${least}${failed} failed, ${waiting} not tried yet${where}`;
}

/** `a.example.com (3 deliveries), b.example.com (1 delivery)` */
export function targetsText(deliveries: Delivery[]): string {
  const counts = new Map<string, number>();
  for (const { target } of deliveries) counts.set(target, (counts.get(target) ?? 0) + 1);
  const named = [...counts].map(([target, count]) => `${target} (${deliveriesText(count)})`);
  const more = named.length > MAX_NAMED ? ` and ${named.length - MAX_NAMED} more` : '';
  return `${named.slice(0, MAX_NAMED).join(', ')}${more}`;
}

export function deliveriesText(count: number): string {
  return count === 1 ? '1 delivery' : `${count} deliveries`;
}

export function planFor(place: Place, status: WebhookStatus, unchecked: string[]): PlanDraft {
  const { deliveries, maxRounds, failed, maxAttempts } = status;
  const last = deliveries.filter(({ attempts }) => maxAttempts !== null && attempts >= maxAttempts - 1);
  return {
    actions: [
      {
        action: 'send failed webhooks again',
        target: applicationIn(place),
        count: deliveries.length,
        detail: `${countOf(maxRounds, 'round')} at most, to ${targetsText(deliveries)}`,
      },
    ],
    warnings: [
      'a round sends whatever is due, also what failed after this plan was made; what was sent cannot be taken back',
      ...(failed > deliveries.length
        ? [`${failed - deliveries.length} more have failed than one run follows: start again for them`]
        : []),
      ...(last.length > 0
        ? [`${deliveriesText(last.length)} had every attempt but the last: where it fails, it is given up`]
        : []),
      ...status.unconfigured,
      ...unchecked,
    ],
    facts: { deliveries: deliveries.length, rounds: maxRounds },
  };
}
