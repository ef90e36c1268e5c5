import { CancellationScope } from '@temporalio/workflow';
import type { Symptoms } from '../../../activities/application/symptoms';
import { causeOf, type PlanDraft } from '../../kit';
import { labelOf, type Cause } from './findings';
import { applicationIn, isBetter, verifyServing } from '../serving';
import { attempt, gateUnlessOver, type Trial } from '../trial';
import type { Fence } from '../../../contract/place';

/** What every remedy works with. */
export interface Case extends Trial {
  finding: Cause;
  /** Before the remedy. */
  symptoms: Symptoms;
  /** For a person who mends by hand. */
  clues: string;
}

/**
 * What became of a remedy. `helped`: health and error rate are well, and stay so. `partly`: there are clearly fewer
 * errors, so it stays, and the next remedy is looked for. `failed`: it did not help, and was undone.
 */
export type Effect = 'helped' | 'partly' | 'failed';

/** A remedy of our own, under the lease of the application: what did not help is undone before the lease goes back. */
export async function change(one: Case, act: (fence: Fence) => Promise<unknown>): Promise<Effect> {
  const { run, place } = one;
  await allow(one, draftOf(one));
  let effect: Effect = 'helped';
  const ended = await attempt(one, labelOf(one.finding.remedy), () =>
    run.exclusively(applicationIn(place), async (fence) => {
      await act(fence);
      try {
        await verifyServing(run, place);
      } catch (error) {
        if (!(await helpedPartly(one, error))) throw error;
        effect = 'partly';
      }
    }),
  );
  return ended ? effect : 'failed';
}

/** Taking back what helped would bring the errors back. */
async function helpedPartly({ run, place, symptoms, finding }: Case, error: unknown): Promise<boolean> {
  if (CancellationScope.current().consideredCancelled || causeOf(error).type !== 'VerificationFailed')
    return false;
  const now = await run.step('Did it help?', (act) => act.readSymptoms(place), {
    describe: ({ detail }) => detail,
  });
  if (!isBetter(symptoms, now)) return false;
  run.note(
    `Helped, but not enough, and stays: ${labelOf(finding.remedy)}`,
    `before: ${symptoms.detail}; now: ${now.detail}`,
  );
  return true;
}

/** Waits until all is well, and watches. */
export async function verified(one: Case): Promise<Effect> {
  const well = await attempt(
    one,
    labelOf(one.finding.remedy),
    async () => void (await verifyServing(one.run, one.place)),
  );
  return well ? 'helped' : 'failed';
}

/** Ends the run where the symptom is gone by the time of the approval. */
export async function allow(one: Case, draft: PlanDraft): Promise<void> {
  const { run, place } = one;
  await gateUnlessOver(one, draft, async () => {
    const now = await run.step('Health and error rate', (act) => act.readSymptoms(place), {
      describe: ({ detail }) => detail,
    });
    if (now.ok) run.nothingToDo(`the symptom is gone: ${now.detail}`);
  });
}

export function draftOf({ place, finding }: Case, detail?: string): PlanDraft {
  const { cause, evidence, remedy } = finding;
  return {
    actions: [
      {
        action: labelOf(remedy),
        target: applicationIn(place),
        ...(detail === undefined ? {} : { detail }),
      },
    ],
    warnings:
      remedy.kind === 'raiseLimits'
        ? ['limits also protect: raise them only for customers, not for an attack']
        : [],
    facts: { cause, ...(remedy.kind === 'rollBack' ? { evidence } : {}) },
  };
}
