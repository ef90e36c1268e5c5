import { ApplicationFailure } from '@temporalio/workflow';
import type { DoubleBookingFacts, Resolution } from '../../../activities/bookings/double-bookings';
import type { UniqueIndex } from '../../../activities/bookings/unique-index';
import type { Repaired } from '../../../activities/postgres/repair/batches';
import { CANCEL_STEP } from '../../../contract/bookings';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run, runbook } from '../../kit';
import { leftText, repairedText, repairKey, takeBack } from '../take-back';
import type { resolveDoubleBookingsCard } from './card';
import {
  buildsIndex,
  chooseBookings,
  conflictText,
  draftOf,
  indexIsOther,
  indexIsTask,
  isSettled,
} from './plan';

/** Leaves one confirmed booking to each slot, and sees to it that there cannot be two again. */
export const resolveDoubleBookings = runbook<typeof resolveDoubleBookingsCard>(
  'resolveDoubleBookings',
  async ({ service, environment, keep }, run) => {
    const place = { service, environment };
    let facts = await diagnose(run, place);
    run.fact('slotsSoldTwice', facts.conflicts.length);
    const warnings = [...(await recentChanges(run, place)), ...(await uncheckedOf(run, place))];
    const rule = keep ?? facts.keep;
    const decided = new Map<string, string>();
    let resolutions: Resolution[] = [];
    let stale = false;
    await run.gate(async () => {
      if (stale) facts = await diagnose(run, place);
      stale = true;
      resolutions = await chooseBookings(run, facts, rule, decided);
      return draftOf(place, facts, resolutions, { rule, observed: run.policy.mode === 'observe', warnings });
    });
    const { done, index } = await run.exclusively(
      targetOf(place),
      (fence) => resolve(run, place, facts, resolutions, fence),
      facts.fenceToken,
    );
    run.fact('bookingsCancelled', done);
    await endWell(run, place, index);
    return `${countOf(done, 'booking')} cancelled; no slot of ${targetOf(place)} is sold twice`;
  },
);

/** Ends the run where no slot is sold twice and the index is there. */
async function diagnose(run: Run, place: Place): Promise<DoubleBookingFacts> {
  const facts = await run.step('Look for slots that are sold twice', (act) => act.findDoubleBookings(place), {
    kind: 'long',
    undo: 'read-only',
    describe: ({ conflicts, index }) => `${conflictText(conflicts)}; ${index.detail}`,
  });
  const { conflicts, index } = facts;
  const fine = conflicts.length === 0 && isSettled(index);
  return fine ? run.nothingToDo(`no slot of ${targetOf(place)} is sold twice; ${index.detail}`) : facts;
}

/** Somebody has to look at what let it happen. */
async function recentChanges(run: Run, place: Place): Promise<string[]> {
  const { configured } = await run.step(
    'Recent changes of the code that confirms bookings',
    (act) => act.readRecentChanges(place),
    {
      describe: (found) =>
        !found.configured
          ? 'not looked at: none is configured'
          : found.lines.length === 0
            ? 'none'
            : `${found.lines.join('; ')}${found.more > 0 ? `; and ${found.more} more` : ''}`,
    },
  );
  return configured
    ? []
    : ['recent changes of the code that confirms bookings are not listed: none is configured'];
}

const CANCEL = 'Cancel the other bookings';
const BUILD = 'Build the unique index';

async function resolve(
  run: Run,
  place: Place,
  facts: DoubleBookingFacts,
  resolutions: Resolution[],
  fence: Fence,
): Promise<{ done: number; index: UniqueIndex | undefined }> {
  const repaired =
    resolutions.length === 0 ? { done: 0, left: [] } : await cancelOthers(run, place, resolutions, fence);
  const left = new Set(repaired.left.map(({ unit }) => unit));
  const cancelled = new Set(
    resolutions.flatMap(({ slot, cancel }) => (left.has(`slot ${slot}`) ? [] : cancel.map(({ id }) => id))),
  );
  // One that was sold again meanwhile is no reason to bring these back: the end of the run says so.
  await run.verify(
    'The cancelled bookings are confirmed no more',
    (act) => act.findDoubleBookings(place),
    ({ conflicts }) => {
      const again = conflicts.filter(({ bookings }) => bookings.some(({ id }) => cancelled.has(id)));
      return { ok: again.length === 0, detail: conflictText(again.length > 0 ? again : conflicts) };
    },
  );
  // It cannot be built over what is left, and says so by itself at the end.
  const wanted = indexIsTask(facts) ? facts.index : undefined;
  const index =
    buildsIndex(facts) && left.size === 0 ? await tryToBuild(run, place, facts.index, fence) : wanted;
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  return { done: repaired.done, index };
}

async function cancelOthers(
  run: Run,
  place: Place,
  resolutions: Resolution[],
  fence: Fence,
): Promise<Repaired> {
  const repaired = await run.step(
    CANCEL,
    async (act) => {
      const found = await act.cancelDoubleBookings({ ...place, resolutions, run: repairKey(), fence });
      if (found.done > 0) return found;
      const why = `nothing was cancelled: ${leftText(found.left)}. Start again, and they are looked at anew`;
      throw ApplicationFailure.nonRetryable(why, 'ChangedSince');
    },
    {
      kind: 'mutate',
      undo: {
        title: 'Bring the cancelled bookings back',
        back: () => takeBack(run, { place, fence, step: CANCEL_STEP, title: CANCEL }),
      },
      describe: repairedText,
    },
  );
  for (const { unit, why } of repaired.left) run.note(`Left alone: ${unit}`, why, { failed: true });
  run.fact('slotsLeftAlone', repaired.left.length);
  return repaired;
}

/** The bookings stay cancelled without it: two in one slot are worse. Returns the index where a person has to see to it. */
async function tryToBuild(
  run: Run,
  place: Place,
  index: UniqueIndex,
  fence: Fence,
): Promise<UniqueIndex | undefined> {
  let found = index;
  const { ok, why } = await run.attempt(async () => (found = await buildIndex(run, place, fence)));
  if (!ok) return { ...index, detail: `it was not built: ${why}` };
  return found.state === 'building' || indexIsOther(found) ? found : undefined;
}

function buildIndex(run: Run, place: Place, fence: Fence): Promise<UniqueIndex> {
  return run.step(BUILD, (act) => act.buildUniqueIndex({ ...place, fence }), {
    kind: 'long',
    undo: {
      title: 'Drop the unique index',
      back: () =>
        run.step('Drop the unique index', (act) => act.dropUniqueIndex({ ...place, fence }), {
          kind: 'mutate',
          undo: { takesBack: BUILD },
          describe: ({ detail }) => detail,
        }),
    },
    describe: ({ detail }) => detail,
  });
}

/** What only people can do, and what is still not well: no success. */
async function endWell(run: Run, place: Place, index: UniqueIndex | undefined): Promise<void> {
  if (index !== undefined) {
    const { detail, statement } = index;
    await run.task(
      `The unique index keeps slots from being sold twice, and ${detail}. What builds it: ${statement}`,
      {
        title: 'Is the unique index there?',
        everyMs: 60_000,
        call: async (act) => {
          const now = await act.readUniqueIndex(place);
          return { ok: now.state === 'present', detail: now.detail };
        },
      },
    );
  }
  await run.verify(
    'No slot is sold twice any more',
    (act) => act.findDoubleBookings(place),
    (found) => ({
      ok: found.conflicts.length === 0 && isSettled(found.index),
      detail: `${conflictText(found.conflicts)}; ${found.index.detail}`,
    }),
  );
}
