import type { Fence, Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { causeOf, type Run } from '../../kit';

const ON = 'Keep edits where they are made';
const OFF = 'Edits are saved as usual';

/** Until what is returned is called, and in any case until the run ends. What cannot be switched on stops nothing else. */
export async function keepEditsLocal(run: Run, place: Place): Promise<() => Promise<void>> {
  let on = false;
  const off = async (fence: Fence): Promise<void> => {
    await run.step(OFF, (act) => act.switchLocalOnly({ ...place, to: 'off', fence }), {
      kind: 'mutate',
      undo: { takesBack: ON },
      describe: ({ detail }) => detail,
    });
    on = false;
  };
  const end = async (): Promise<void> => {
    if (on) await run.exclusively(applicationIn(place), off);
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
          undo: { title: OFF, back: () => off(fence) },
          describe: ({ detail }) => detail,
        },
      ),
    ),
  );
  if (!ok) run.note('Edits are not kept where they are made', why, { failed: true });
  return end;
}

async function callForHelp(run: Run, { service }: Place, error: unknown): Promise<never> {
  await run.page(
    `${service}: edits may still be kept where they are made, and not saved (${causeOf(error).message}). Have them saved as usual by hand.`,
  );
  throw error;
}
