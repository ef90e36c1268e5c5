import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { Fence, Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { causeOf, type Run } from '../../kit';

const ON = 'Keep edits where they are made';
const OFF = 'Edits are saved as usual';

/**
 * Until what is returned is called, and in any case until the run ends. Says whether it had to be ended. What cannot be
 * switched on, or off again, stops nothing else: whoever calls that again tries again. `byHand` is how people do it.
 */
export async function keepEditsLocal(
  run: Run,
  place: Place,
  byHand: string | null,
): Promise<() => Promise<boolean>> {
  let on = false;
  const off = async (fence: Fence): Promise<void> => {
    await run.step(OFF, (act) => act.switchLocalOnly({ ...place, to: 'off', fence }), {
      kind: 'mutate',
      undo: { takesBack: ON },
      describe: ({ detail }) => detail,
    });
    on = false;
  };
  const end = async (): Promise<boolean> => {
    if (!on) return false;
    try {
      await run.exclusively(applicationIn(place), off);
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      throw ApplicationFailure.nonRetryable(
        `edits may still be kept where they are made, and not saved: ${messageOf(error)}. Have them saved as usual by hand: ${byHand ?? 'drafts.localOnly is configured no more'}`,
        'EditsKeptLocal',
      );
    }
  };
  // Before anything is changed: whenever the run is cancelled, saves go on.
  run.defer(OFF, () => end().catch((error: unknown) => callForHelp(run, place, error)));
  const { ok, why } = await run.attempt(() =>
    run.exclusively(applicationIn(place), (fence) =>
      run.step(
        ON,
        (act) => {
          on = true;
          return act.switchLocalOnly({ ...place, to: 'on', fence });
        },
        {
          kind: 'mutate',
          undo: { title: OFF, back: () => off(fence).catch((error: unknown) => later(run, error)) },
          describe: ({ detail }) => detail,
        },
      ),
    ),
  );
  if (!ok) run.note('Edits are not kept where they are made', why, { failed: true });
  return end;
}

/** An application that refuses both is the very one whose drafts are to be salvaged. */
function later(run: Run, error: unknown): void {
  if (isCancellation(error)) throw error;
  run.note('Edits may still be kept where they are made, which is tried again', messageOf(error), {
    failed: true,
  });
}

async function callForHelp(run: Run, { service }: Place, error: unknown): Promise<never> {
  await run.page(`${service}: ${messageOf(error)}.`);
  throw error;
}

function messageOf(error: unknown): string {
  return causeOf(error).message.replace(/\.$/, '');
}
