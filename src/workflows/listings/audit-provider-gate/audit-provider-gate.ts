import { ApplicationFailure } from '@temporalio/workflow';
import type { PublishingGate } from '../../../activities/listings/audit';
import type { Repaired } from '../../../activities/postgres/repair/batches';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { leftText, putBack, repairKey } from '../../bookings/take-back';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { causeOf, countOf, type Run, runbook } from '../../kit';
import type { auditProviderGateCard } from './card';
import { draftOf, listingsText, type Look, recentText } from './plan';

/** Takes off sale what nobody approved, and sees to it that nothing more comes past the gate. */
export const auditProviderGate = runbook<typeof auditProviderGateCard>(
  'auditProviderGate',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let look = await diagnose(run, place);
    run.fact('listingsUnapproved', look.audit.listings.length);
    const warnings = await uncheckedOf(run, place);
    let stale = false;
    await run.gate(async () => {
      if (stale) look = await diagnose(run, place);
      stale = true;
      return draftOf(place, look, warnings);
    });
    const { audit, gate } = look;
    const suspended =
      audit.listings.length === 0
        ? 0
        : await run.exclusively(
            targetOf(place),
            (fence) => suspend(run, place, look, fence),
            audit.fenceToken,
          );
    run.fact('listingsSuspended', suspended);
    if (gate.inForce === false) await gateInForce(run, place, gate.detail);
    await run.verify(
      'Nothing came past the gate meanwhile',
      (act) => act.findUnapprovedListings(place),
      ({ listings }) => ({
        ok: listings.length === 0,
        detail: `${listingsText(listings)}${listings.length === 0 ? '' : '. Start again, and they are looked at anew'}`,
      }),
    );
    return `${countOf(suspended, 'listing')} of ${targetOf(place)} suspended; none is published without approval`;
  },
);

/** Too many to be touched are most likely there because the gate is out of force, which then is the first thing to mend. */
async function withTheGate(run: Run, place: Place, error: unknown): Promise<never> {
  const { type, message } = causeOf(error);
  if (type !== 'TooManyTargets') throw error;
  const { detail } = await readGate(run, place);
  throw ApplicationFailure.nonRetryable(`${message} The publishing gate: ${detail}.`, type);
}

function readGate(run: Run, place: Place): Promise<PublishingGate> {
  return run.step('Is the publishing gate in force?', (act) => act.readPublishingGate(place), {
    describe: ({ detail }) => detail,
  });
}

/** Ends the run where nothing is published without approval and the gate is not known to be out of force. */
async function diagnose(run: Run, place: Place): Promise<Look> {
  const audit = await run
    .step('Look for published listings that nobody approved', (act) => act.findUnapprovedListings(place), {
      kind: 'long',
      undo: 'read-only',
      describe: ({ listings, recent }) => `${listingsText(listings)}; ${recentText(recent)}`,
    })
    .catch((error: unknown) => withTheGate(run, place, error));
  const gate = await readGate(run, place);
  if (audit.listings.length > 0 || gate.inForce === false) return { audit, gate };
  return run.nothingToDo(
    `no listing of ${targetOf(place)} is published without approval; the publishing gate: ${gate.detail}`,
  );
}

const SUSPEND = 'Suspend the listings';

async function suspend(run: Run, place: Place, { audit }: Look, fence: Fence): Promise<number> {
  const { listings } = audit;
  const { done, left } = await run.step(
    SUSPEND,
    (act) => act.suspendListings({ ...place, listings, run: repairKey(), fence }),
    {
      kind: 'mutate',
      undo: {
        title: 'Publish the listings again',
        back: () =>
          putBack(run, { title: SUSPEND, noun: 'listing' }, (act) =>
            act.undoListingSuspension({ ...place, run: repairKey(), fence }),
          ),
      },
      describe: suspendedText,
    },
  );
  for (const { unit, why } of left) run.note(`Left alone: ${unit}`, why, { failed: true });
  const leftAlone = new Set(left.map(({ unit }) => unit));
  const among = listings.map(({ id }) => id).filter((id) => !leftAlone.has(`listing ${id}`));
  // One that is published again, or since, is no reason to put the others back on sale: the end of the run says so.
  await run.check('The suspended listings are off sale', async (act) => {
    const { listings: again } = await act.findUnapprovedListings({ ...place, among });
    return { ok: again.length === 0, detail: listingsText(again) };
  });
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  return done;
}

function suspendedText({ done, left }: Repaired): string {
  return `${countOf(done, 'listing')}${left.length === 0 ? '' : `; left alone: ${leftText(left)}`}`;
}

async function gateInForce(run: Run, place: Place, detail: string): Promise<void> {
  await run.task(
    `The publishing gate of ${targetOf(place)} is not in force: ${detail}. Put it back; until then anybody can publish.`,
    {
      title: 'Is it in force again?',
      everyMs: 30_000,
      call: async (act) => {
        const now = await act.readPublishingGate(place);
        return { ok: now.inForce === true, detail: now.detail };
      },
    },
  );
}
