import { ApplicationFailure } from '@temporalio/workflow';
import type {
  Conflict,
  DoubleBookingFacts,
  Resolution,
  SoldBooking,
} from '../../../activities/bookings/double-bookings';
import type { UniqueIndex } from '../../../activities/bookings/unique-index';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, digest, utc, type PlanDraft, type Run } from '../../kit';

export type Rule = DoubleBookingFacts['keep'];

const MAX_QUESTIONS = 20;
const MAX_NAMED = 10;

/**
 * Which booking of each slot stays: the first one by the rule, or the one that a person names, who is asked once for the
 * same bookings. In mode `observe` nobody is asked, and the plan says so.
 */
export async function chooseBookings(
  run: Run,
  { conflicts }: DoubleBookingFacts,
  rule: Rule,
  decided: Map<string, string>,
): Promise<Resolution[]> {
  if (rule === 'ask' && run.policy.mode !== 'observe') {
    if (conflicts.length > MAX_QUESTIONS)
      throw ApplicationFailure.nonRetryable(
        `${conflicts.length} slots are sold twice, and nobody answers more than ${MAX_QUESTIONS} questions. Nothing was changed: start again with keep "first-confirmed"`,
        'TooManyTargets',
      );
    for (const conflict of conflicts) await askOnce(run, conflict, decided);
  }
  return conflicts.map((conflict) => {
    const kept = decided.get(digest(conflict));
    const keep = conflict.bookings.find(({ id }) => id === kept) ?? conflict.bookings[0]!;
    return { slot: conflict.slot, keep, cancel: conflict.bookings.filter((one) => one !== keep) };
  });
}

async function askOnce(run: Run, conflict: Conflict, decided: Map<string, string>): Promise<void> {
  const key = digest(conflict);
  if (decided.has(key)) return;
  const list = conflict.bookings.map(bookingText).join('; ');
  const question = `Slot ${conflict.slot} is sold ${conflict.bookings.length} times: ${list}. Which booking stays?`;
  decided.set(
    key,
    await run.ask(
      question,
      conflict.bookings.map(({ id }) => id),
    ),
  );
}

export function bookingText({ id, confirmedAt, createdAt, customer }: SoldBooking): string {
  const when = [
    confirmedAt === null ? '' : `confirmed ${utc(confirmedAt)}`,
    createdAt === null ? '' : `created ${utc(createdAt)}`,
    customer === null ? '' : `customer ${customer}`,
  ].filter((part) => part !== '');
  return `${id} (${when.join(', ')})`;
}

/** It is there, or there can be none. */
export function isSettled({ state }: UniqueIndex): boolean {
  return state === 'present' || state === 'unconfigured' || state === 'impossible';
}

/** Whether this run builds the index; otherwise it is there, a person's, or nobody's. */
export function buildsIndex({ index, createIndex }: DoubleBookingFacts): boolean {
  return createIndex && !indexIsOther(index) && !isSettled(index);
}

/** Whether a person has to see to the index. */
export function indexIsTask({ index, createIndex }: DoubleBookingFacts): boolean {
  return indexIsOther(index) || (!createIndex && !isSettled(index));
}

export function indexIsOther({ state }: UniqueIndex): boolean {
  return state === 'other';
}

export function draftOf(
  place: Place,
  facts: DoubleBookingFacts,
  resolutions: Resolution[],
  { rule, observed, warnings }: { rule: Rule; observed: boolean; warnings: string[] },
): PlanDraft {
  const target = targetOf(place);
  const { index } = facts;
  const actions: PlanDraft['actions'] = [];
  const count = resolutions.reduce((sum, { cancel }) => sum + cancel.length, 0);
  if (count > 0) {
    const open = rule === 'ask' && observed ? 'which of them stay is asked then; ' : '';
    const named = resolutions.slice(0, MAX_NAMED).map(resolutionText).join('; ');
    const more = resolutions.length > MAX_NAMED ? `; and ${resolutions.length - MAX_NAMED} more slots` : '';
    actions.push({
      action: 'cancel bookings of slots that are sold twice',
      target,
      count,
      detail: `${open}${named}${more}`,
    });
  }
  if (buildsIndex(facts))
    actions.push({ action: 'build the unique index', target, detail: `${index.detail}: ${index.statement}` });
  if (indexIsTask(facts))
    actions.push({
      action: 'a task for a person: the unique index',
      target,
      detail: `${index.detail}: ${index.statement}`,
    });
  const told = 'customers of cancelled bookings are not told, and nothing is refunded: that is for people';
  return {
    actions,
    warnings: [
      ...(count > 0 ? [told] : []),
      ...(index.state !== 'present' && isSettled(index) ? [index.detail] : []),
      ...facts.unconfigured,
      ...warnings,
    ],
    facts: { resolutions: digest(resolutions), index: index.state },
  };
}

function resolutionText({ slot, keep, cancel }: Resolution): string {
  return `slot ${slot}: keep ${bookingText(keep)}, cancel ${cancel.map(bookingText).join(', ')}`;
}

/** What is still sold twice. */
export function conflictText(conflicts: Conflict[]): string {
  if (conflicts.length === 0) return 'no slot is sold twice';
  const named = conflicts
    .slice(0, MAX_NAMED)
    .map(({ slot, bookings }) => `slot ${slot} ${bookings.length} times`);
  const more = conflicts.length > MAX_NAMED ? ` and ${conflicts.length - MAX_NAMED} more` : '';
  return `${countOf(conflicts.length, 'slot')} sold more than once: ${named.join(', ')}${more}`;
}
