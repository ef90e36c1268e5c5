import { CancellationScope } from '@temporalio/workflow';
import type { Fence } from '../../../contract/place';
import { causeOf, type PlanDraft } from '../../kit';
import { applicationIn } from '../serving';
import { attempt, gateUnlessOver, type Trial } from '../trial';
import { labelOf, type Cause } from './causes';
import type { Procedure } from './facts';
import { isBetter, readStrain, verifyRelieved, type Strain } from './strain';

/** What every remedy works with. */
export interface Case extends Trial {
  procedure: Procedure;
  finding: Cause;
  /** Before the remedy. */
  strain: Strain;
  /** What nobody looks at. */
  unseen: string[];
}

/**
 * What became of a remedy. `helped`: it is well, and stays so. `partly`: it is clearly better, so the remedy stays, and the
 * next one is looked for. `failed`: it did not help, and was undone as far as it can be.
 */
export type Effect = 'helped' | 'partly' | 'failed';

/** Whoever waits longer for a lease waited for somebody who changed the application. */
const SOON_MS = 5_000;

/** A remedy of our own, under the lease of the application: what did not help is undone before the lease goes back. */
export async function change(one: Case, act: (fence: Fence) => Promise<unknown>): Promise<Effect> {
  const { run, place } = one;
  await gateUnlessOver(one, draftOf(one), () => stopIfOver(one));
  const askedAt = Date.now();
  let effect: Effect = 'helped';
  const helped = await attempt(one, labelOf(one.finding.remedy), () =>
    run.exclusively(applicationIn(place), async (fence) => {
      const now = Date.now() - askedAt > SOON_MS ? await stopIfOver(one) : one.strain;
      await act(fence);
      // What was better before it is not its merit.
      effect = await verifiedOrBetter({ ...one, strain: now.isStrained ? now : one.strain });
    }),
  );
  return helped ? effect : 'failed';
}

/** Of what nothing of ours can take back. */
export async function verified(one: Case): Promise<Effect> {
  let effect: Effect = 'helped';
  const helped = await attempt(
    one,
    labelOf(one.finding.remedy),
    async () => void (effect = await verifiedOrBetter(one)),
  );
  return helped ? effect : 'failed';
}

/** Throws what did not hold, where it is no better than before. */
async function verifiedOrBetter({ run, place, procedure, strain, finding }: Case): Promise<Effect> {
  try {
    await verifyRelieved(run, place, procedure, strain);
    return 'helped';
  } catch (error) {
    const cancelled = CancellationScope.current().consideredCancelled;
    if (cancelled || causeOf(error).type !== 'VerificationFailed') throw error;
    const now = await run.step('Did it help?', (act) => readStrain(act, place, procedure), {
      describe: ({ detail }) => detail,
    });
    if (!isBetter(strain, now)) throw error;
    run.note(
      `Helped, but not enough, and stays: ${labelOf(finding.remedy)}`,
      `before: ${strain.detail}; now: ${now.detail}`,
    );
    return 'partly';
  }
}

async function stopIfOver({ run, place, procedure }: Case): Promise<Strain> {
  const now = await run.step('Measure again', (act) => readStrain(act, place, procedure), {
    describe: ({ detail }) => detail,
  });
  return now.isWell ? run.nothingToDo(`it is over: ${now.detail}`) : now;
}

/** Numbers come and go, and are not in it, so that an approval lasts. */
export function draftOf({ place, finding, unseen }: Case, detail?: string): PlanDraft {
  const { cause, remedy } = finding;
  const target = applicationIn(place);
  return {
    actions: [{ action: labelOf(remedy), target, ...(detail === undefined ? {} : { detail }) }],
    warnings: [...unseen, ...(remedy.kind === 'restart' ? ['requests that are under way may fail'] : [])],
    facts: { cause },
  };
}
