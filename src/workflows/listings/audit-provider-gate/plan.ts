import type {
  GateAudit,
  PublishingGate,
  RecentPublishes,
  UnapprovedListing,
} from '../../../activities/listings/audit';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, digest, type PlanDraft, utc } from '../../kit';

export interface Look {
  audit: GateAudit;
  gate: PublishingGate;
}

const MAX_NAMED = 10;

export function draftOf(place: Place, { audit, gate }: Look, warnings: string[]): PlanDraft {
  const target = targetOf(place);
  const { listings, unconfigured } = audit;
  const actions: PlanDraft['actions'] = [];
  if (listings.length > 0)
    actions.push({
      action: 'suspend listings',
      target,
      count: listings.length,
      detail: listingsText(listings),
    });
  if (gate.inForce === false)
    actions.push({
      action: 'a task for a person: put the publishing gate back in force',
      target,
      detail: gate.detail,
    });
  return {
    actions,
    warnings: [
      ...(listings.length > 0
        ? ['providers of suspended listings are not told, and bookings that were made stay as they are']
        : []),
      ...(gate.inForce === null
        ? [
            gate.configured
              ? `whether the publishing gate is in force is ${gate.detail}`
              : 'nobody looks whether the publishing gate is in force: publishingGate is not configured',
          ]
        : []),
      ...unconfigured,
      ...warnings,
    ],
    facts: { listings: digest(listings), gate: gate.inForce ?? 'unknown' },
  };
}

/** `2 listings: 7 (provider 3 is PENDING), 9 (profile is REJECTED, published past the gate)` */
export function listingsText(listings: UnapprovedListing[]): string {
  if (listings.length === 0) return 'none is published without approval';
  const named = listings.slice(0, MAX_NAMED).map(listingText);
  const more = listings.length > MAX_NAMED ? ` and ${listings.length - MAX_NAMED} more` : '';
  return `${countOf(listings.length, 'listing')}: ${named.join(', ')}${more}`;
}

function listingText({ id, provider, providerState, profileState, pastTheGate }: UnapprovedListing): string {
  const facts = [
    provider === null ? 'no provider' : `provider ${provider} is ${providerState ?? 'not there'}`,
    ...(profileState === null ? [] : [`profile is ${profileState}`]),
    ...(pastTheGate === true ? ['published past the gate'] : []),
  ];
  return `${id} (${facts.join(', ')})`;
}

export function recentText(recent: RecentPublishes | null): string {
  if (recent === null) return 'what was published lately is not known';
  const { count, days, newest } = recent;
  const named = newest.map(({ id, publishedAt }) => `${id} at ${utc(publishedAt)}`).join(', ');
  return `${count} published within ${countOf(days, 'day')}${count === 0 ? '' : `, the newest: ${named}`}`;
}
