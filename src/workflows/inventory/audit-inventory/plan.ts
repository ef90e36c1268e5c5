import type { InventoryAudit, RecentEntries, UnitForPeople } from '../../../activities/inventory/audit';
import type { Confirmations, Rejections } from '../../../activities/inventory/confirmations';
import type { UnlockedStatements } from '../../../activities/postgres/tuning/unlocked-statements';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, digest, type PlanDraft, utc } from '../../kit';

export interface Look {
  audit: InventoryAudit;
  statements: UnlockedStatements;
  rejections: Rejections;
  confirmations: Confirmations;
}

type Counts = Pick<InventoryAudit, 'rebuild' | 'sample' | 'forPeople' | 'named'>;

/** Of the first look, however the numbers move while people think: each counter is worked out again when its row is locked. */
export function draftOf(place: Place, look: Look, warnings: string[]): PlanDraft {
  const target = targetOf(place);
  const { audit, statements, confirmations } = look;
  const { rebuild, forPeople } = audit;
  const actions: PlanDraft['actions'] = [];
  if (willStop(look)) actions.push({ action: 'stop confirmations', target, detail: 'and resume them' });
  if (rebuild.length > 0)
    actions.push({
      action: 'rebuild counters from the ledger',
      target,
      count: rebuild.length,
      detail: `as counted at ${utc(audit.countedAt)}: ${rebuildText(audit)}`,
    });
  if (forPeople.length > 0)
    actions.push({
      action: 'a task for a person: decide about units and their bookings',
      target,
      count: forPeople.length,
      detail: `as counted at ${utc(audit.countedAt)}: ${peopleText(audit)}`,
    });
  return {
    actions,
    warnings: [
      ...warningsOfStop(look),
      ...findingsOf(look),
      ...(statements.missing === undefined
        ? []
        : [
            `statements that lock no row were not looked for: nobody counts statements here (${statements.missing})`,
          ]),
      ...audit.unconfigured,
      ...warnings,
    ],
    facts: {
      rebuild: digest(rebuild),
      forPeople: digest(forPeople),
      stop: confirmations.canStop,
      stoppedBefore: confirmations.stopped ?? 'unknown',
    },
  };
}

/** Not where nothing is sold too often nor counted wrongly, nor where somebody has stopped them before. */
export function willStop({ audit, confirmations }: Look): boolean {
  return actsOn(audit) && confirmations.canStop && confirmations.stopped !== true;
}

export function actsOn({ rebuild, named }: Counts): boolean {
  return rebuild.length > 0 || named.some(({ over }) => over);
}

function warningsOfStop({ audit, confirmations }: Look): string[] {
  if (!actsOn(audit)) return [];
  const { canStop, stopped, watched, detail, askMinutes } = confirmations;
  if (!canStop)
    return ['confirmations go on meanwhile: inventory.confirmations does not say how they are stopped'];
  if (stopped === true)
    return ['confirmations were stopped by somebody else before, and are left to them: they stay stopped'];
  return [
    ...(watched ? [] : ['nobody looks whether confirmations have stopped: no source of it is configured']),
    ...(watched && stopped === null
      ? [`whether confirmations are taken is ${detail}. Nothing is changed while that is so`]
      : []),
    ...(audit.named.some(({ over }) => over)
      ? [
          `people are asked whether confirmations stay stopped; without an answer they are resumed after ${countOf(askMinutes, 'minute')} at the latest`,
        ]
      : []),
  ];
}

/** What only people can mend: how the application takes units. */
export function findingsOf({ audit, statements, rejections }: Look): string[] {
  return [
    ...(rejections.count === null
      ? [`updates that were refused for want of units are ${rejections.detail}`]
      : []),
    ...(rejections.count === 0 && audit.soldOver > 0
      ? [
          `finding: ${countOf(audit.soldOver, 'unit')} over capacity and no update was refused lately: nothing seems to check it`,
        ]
      : []),
    ...statements.statements.map(
      ({ why, calls, text }) => `finding: ${why}, ${countOf(calls, 'call')}: ${text}`,
    ),
    ...statements.open.map(
      ({ session, state, seconds, modes }) =>
        `finding: ${session} has had a transaction on it open for ${seconds} s (${state}, ${modes.join(', ')})`,
    ),
  ];
}

const MAX_NAMED = 10;

export function auditText(audit: InventoryAudit): string {
  const { units, soldOver, rebuild, forPeople } = audit;
  return `${countOf(units, 'unit')}, ${soldOver} with a counter over capacity; ${rebuild.length} to rebuild; ${forPeople.length} for a person`;
}

/** `2 units: 7 (counter 3, ledger 5), 9 (counter 1, ledger 0)` */
export function rebuildText({ rebuild, sample }: Counts): string {
  if (rebuild.length === 0) return 'every counter is what its ledger adds up to';
  const named = sample
    .slice(0, MAX_NAMED)
    .map(({ id, sold, ledger }) => `${id} (counter ${sold ?? 'empty'}, ledger ${ledger})`);
  return `${countOf(rebuild.length, 'unit')}: ${listed(named, rebuild.length)}`;
}

/** `1 unit: 7 (5 of 4 sold; bookings a, b, c)` */
export function peopleText({ forPeople, named }: Counts): string {
  if (forPeople.length === 0) return 'none is sold too often, and every ledger can be followed';
  return `${countOf(forPeople.length, 'unit')}: ${listed(named.slice(0, MAX_NAMED).map(personText), forPeople.length)}`;
}

function personText(unit: UnitForPeople): string {
  const { id, sold, capacity, ledger, booked, disputed, over, bookings, bookingsInAll } = unit;
  const numbers = `counter ${sold ?? 'empty'}, ledger ${ledger}${booked === null ? '' : `, bookings ${booked}`}`;
  const facts = [
    ...(over
      ? [
          `${disputed === null ? ledger : 'perhaps more than'}${disputed === null ? ' of' : ''} ${capacity} sold`,
        ]
      : []),
    ...(disputed === null ? [] : [`${disputed}: ${numbers}`]),
    bookings.length === 0 ? 'its bookings are not known' : `bookings ${listed(bookings, bookingsInAll)}`,
  ];
  return `${id} (${facts.join('; ')})`;
}

export function recentText(recent: RecentEntries | null): string {
  if (recent === null) return 'what was sold lately is not known';
  const { count, hours, newest } = recent;
  const named = newest.map(
    ({ id, unit, quantity, at }) => `${id} of unit ${unit}: ${quantity} at ${utc(at)}`,
  );
  return `${count} ${count === 1 ? 'entry' : 'entries'} within ${countOf(hours, 'hour')}${count === 0 ? '' : `, the newest: ${named.join(', ')}`}`;
}

function listed(named: string[], total: number): string {
  return `${named.join(', ')}${total > named.length ? ` and ${total - named.length} more` : ''}`;
}
