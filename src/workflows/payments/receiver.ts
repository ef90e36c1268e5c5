import type { Receiver } from '../../activities/payments/receiver';
import { type Place, targetOf } from '../../contract/place';
import type { Call, Run } from '../kit';

const LOOK_EVERY_MS = 30_000;

/**
 * Goes on when the application takes what is signed: where it does not, that is a task, which ends by itself once it does.
 * True where somebody had to mend something.
 */
export async function receiverMended(run: Run, place: Place, call: Call<Receiver>): Promise<boolean> {
  const { takes, detail } = await run.step('Are events taken?', call, {
    kind: 'mutate',
    undo: { harmless: 'a test event was sent, where one is configured' },
    describe: (found) => found.detail,
  });
  if (takes !== false) return false;
  run.note('Finding: events are not taken', detail, { failed: true });
  await run.task(
    `${targetOf(place)} takes no events of payments: ${detail} Nothing is sent again before. This run goes on by itself once events are taken.`,
    {
      title: 'Are events taken now?',
      everyMs: LOOK_EVERY_MS,
      call: async (act) => {
        const now = await call(act);
        return { ok: now.takes !== false, detail: now.detail };
      },
    },
  );
  return true;
}
