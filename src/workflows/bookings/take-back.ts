import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { LeftAlone, Repaired } from '../../activities/postgres/repair/batches';
import type { Fence, Place } from '../../contract/place';
import { countOf, type Call, type Run } from '../kit';

/** By what the change log of the database knows this run, also when it was reset. */
export function repairKey(): string {
  return workflowInfo().firstExecutionRunId;
}

/** Puts back what `step` did. Fails, and so calls a person, where somebody has changed some of it since. */
export async function takeBack(
  run: Run,
  { place, fence, step, title }: { place: Place; fence: Fence; step: string; title: string },
): Promise<void> {
  await putBack(run, { title, noun: 'slot' }, (act) =>
    act.undoBookingRepair({ ...place, run: repairKey(), step, fence }),
  );
}

/** The same of any repair: `noun` is what its units are. */
export async function putBack(
  run: Run,
  { title, noun }: { title: string; noun: string },
  call: Call<Repaired>,
): Promise<void> {
  await run.step(
    `Take back: ${title}`,
    async (act) => {
      const repaired = await call(act);
      if (repaired.left.length === 0) return repaired;
      throw ApplicationFailure.nonRetryable(
        `${countOf(repaired.done, noun)} put back as before, but not ${leftText(repaired.left)}`,
        'ChangedSince',
      );
    },
    {
      kind: 'mutate',
      undo: { takesBack: title },
      describe: ({ done }) => `${countOf(done, noun)} as before`,
    },
  );
}

const MAX_NAMED = 10;

/** `slot 7 (somebody else has it locked), slot 9 (...)` */
export function leftText(left: LeftAlone[]): string {
  const named = left.slice(0, MAX_NAMED).map(({ unit, why }) => `${unit} (${why})`);
  const more = left.length > MAX_NAMED ? ` and ${left.length - MAX_NAMED} more` : '';
  return `${named.join(', ')}${more}`;
}

export function repairedText({ done, left }: Repaired): string {
  return `${countOf(done, 'booking')}${left.length === 0 ? '' : `; left alone: ${leftText(left)}`}`;
}
