import { CancellationScope } from '@temporalio/workflow';
import type { Alert } from '../../../contract/alert';
import type { Symptoms } from '../../../activities/application/symptoms';
import { causeOf, type PlanDraft, type Run } from '../../kit';
import { labelOf, type Cause } from './findings';
import { applicationIn, isBetter, verifyServing } from '../serving';
import type { Fence, Place } from '../../../contract/place';

/** What every remedy works with. */
export interface Case {
  run: Run;
  place: Place;
  finding: Cause;
  startedBy: string;
  alert: Alert | undefined;
  /** Before the remedy. */
  symptoms: Symptoms;
  /** A person chose this remedy, and that is as good as an approval here. */
  decided: boolean;
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
  const ended = await attempt(one, () =>
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
  const well = await attempt(one, async () => void (await verifyServing(one.run, one.place)));
  return well ? 'helped' : 'failed';
}

/** The plan is made again after an approval: a symptom that is gone by then needs no remedy. */
export async function allow({ run, place, decided }: Case, draft: PlanDraft): Promise<void> {
  if (decided) return void (await run.plan(draft));
  let first = true;
  await run.gate(async () => {
    if (!first) {
      const now = await run.step('Health and error rate', (act) => act.readSymptoms(place), {
        describe: ({ detail }) => detail,
      });
      if (now.ok) return run.nothingToDo(`the symptom is gone: ${now.detail}`);
    }
    first = false;
    return draft;
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

/** False when `body` failed, and what it did is undone. */
export async function attempt({ run, finding }: Case, body: () => Promise<void>): Promise<boolean> {
  const { ok, why } = await run.attempt(body);
  if (!ok) run.note(`Did not help: ${labelOf(finding.remedy)}`, why);
  return ok;
}
