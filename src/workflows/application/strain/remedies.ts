import { ApplicationFailure } from '@temporalio/workflow';
import { capitalised } from '../../../contract/text';
import type { Adjustment } from '../../../config/operation-schema';
import type { Fence } from '../../../contract/place';
import type { WayBack } from '../../kit';
import { handOver, restart } from '../trial';
import { change, draftOf, verified, type Case, type Effect } from './case';
import { labelOf } from './causes';
import { overCheck } from './strain';

/** Tries one remedy. */
export async function tryRemedy(one: Case): Promise<Effect> {
  const { remedy } = one.finding;
  switch (remedy.kind) {
    case 'rollBack':
      return runChild(one, 'rollBackDeployment', {
        from: remedy.from.id,
        deployment: remedy.to.id,
        // Every request may be served meanwhile.
        measures: one.procedure.measures,
      });
    case 'relievePool':
      return runChild(one, 'relieveConnectionPool', { environment: one.place.environment });
    case 'tuneQueries':
      return runChild(one, 'tuneSlowQueries', { environment: one.place.environment });
    case 'adjust':
      return adjust(one, remedy.adjustment);
    case 'restart':
      return change(one, (fence) => restart(one, fence));
    case 'byHand':
      return leaveToPeople(one, remedy.task);
  }
}

async function runChild(one: Case, runbook: string, input: Record<string, unknown>): Promise<Effect> {
  const said = { label: labelOf(one.finding.remedy), plan: (detail: string) => draftOf(one, detail) };
  // It has verified only what it changed itself.
  return (await handOver(one, said, runbook, input)) ? verified(one) : 'failed';
}

async function adjust(one: Case, adjustment: Adjustment): Promise<Effect> {
  const { run, place, finding } = one;
  const label = labelOf(finding.remedy);
  const apply = capitalised(label);
  const restore = `Take back: ${label}`;
  const to = (position: 'apply' | 'restore', fence: Fence, undo: WayBack) =>
    run.step(
      position === 'apply' ? apply : restore,
      (act) => act.adjustApplication({ ...place, adjustment, to: position, fence }),
      { kind: 'mutate', undo, describe: ({ detail }) => detail },
    );
  const effect = await change(one, async (fence) => {
    let isOurs = true;
    const back = async () =>
      isOurs
        ? to('restore', fence, { takesBack: apply })
        : run.note('Nothing to take back', 'it was applied before this run');
    const { already = false } = await to('apply', fence, { title: restore, back });
    isOurs = !already;
    if (already) throw ApplicationFailure.nonRetryable(`${label}: that is applied already`, 'AppliedAlready');
  });
  if (effect !== 'failed')
    await run.announce(
      `${place.service}: ${label}: that stays until somebody takes it back (application.${adjustment}.restore) when its cause is mended.`,
    );
  return effect;
}

/** Nothing of ours is changed: a person acts, and the run looks from time to time whether that has helped. */
async function leaveToPeople(one: Case, task: string): Promise<Effect> {
  const { run, place, procedure } = one;
  await run.plan(draftOf(one, 'a task for a person'));
  await run.task(task, overCheck(place, procedure));
  return verified(one);
}
