import { sleep } from '@temporalio/workflow';
import { causeOf, type WayBack } from '../../kit';
import { duration, utc } from '../../../contract/text';
import { allow, draftOf, verified, type Case, type Effect } from './case';
import { applicationIn, overCheck, verifyServing } from '../serving';
import { attempt } from '../trial';
import { labelOf } from './findings';
import type { Fence } from '../../../contract/place';

const RAISE = 'Raise the rate limits';
const RESTORE = 'Usual rate limits again';

/** Only a person can tell customers from an attack, so `auto` asks too. Raised limits go back by themselves. */
export async function raiseLimits(one: Case, forMs: number): Promise<Effect> {
  const { run, place, finding } = one;
  await allow(one, draftOf(one, `for ${duration(forMs)}`));
  if (run.policy.mode === 'auto' && !one.decided) {
    const question = `${place.service}: ${finding.evidence}. Are these customers, and not an attack?`;
    const choice = await run.askUnless(overCheck(place), question, [
      'raise the limits',
      { harmless: 'leave them' },
    ]);
    if (choice === undefined) return run.nothingToDo('it went away before anybody decided');
    if (choice === 'leave them') return 'failed';
  }
  const limits = (to: 'raise' | 'restore', fence: Fence, undo: WayBack) =>
    run.step(
      to === 'raise' ? RAISE : RESTORE,
      (act) =>
        to === 'raise'
          ? act.raiseRateLimits({ ...place, fence })
          : act.restoreRateLimits({ ...place, fence }),
      {
        kind: 'mutate',
        undo,
        describe: ({ detail }) => detail,
      },
    );
  const helped = await attempt(one, labelOf(finding.remedy), () =>
    run.exclusively(applicationIn(place), async (fence) => {
      await limits('raise', fence, {
        title: RESTORE,
        back: () => limits('restore', fence, { takesBack: RAISE }),
      });
      await verifyServing(run, place);
    }),
  );
  if (!helped) return 'failed';
  let raised = true;
  const restore = () =>
    run.exclusively(applicationIn(place), async (fence) => {
      await limits('restore', fence, { takesBack: RAISE });
      raised = false;
    });
  run.defer('Rate limits are as usual', async () => {
    if (raised) await restore().catch((error: unknown) => callForLimits(one, error));
  });
  const until = utc(new Date(Date.now() + forMs).toISOString());
  await run.announce(`${place.service}: the rate limits are raised until ${until} UTC.`);
  await sleep(forMs);
  await restore();
  return verified(one);
}

async function callForLimits({ run, place }: Case, error: unknown): Promise<never> {
  await run.page(
    `${place.service}: the rate limits are still raised (${causeOf(error).message}). Restore them by hand.`,
  );
  throw error;
}
