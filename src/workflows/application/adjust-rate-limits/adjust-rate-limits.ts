import { ApplicationFailure, sleep } from '@temporalio/workflow';
import type { LimitFacts } from '../../../activities/application/blocked';
import { targetOf, type Place } from '../../../contract/place';
import { uncheckedOf } from '../../database/checks';
import { duration, runbook, type PlanDraft, type Run } from '../../kit';
import { applicationIn } from '../serving';
import { gateUnlessOver, mayDecide } from '../trial';
import type { adjustRateLimitsCard } from './card';
import { chooseRemedy, isWanted, limitText, overCheck, type Input, type Remedy } from './choose';
import { adjustForAWhile, shareFact, titleOf } from './for-a-while';

/** Helps those whom the limits refuse wrongly, for a while, and has the usual limits again by itself. */
export const adjustRateLimits = runbook<typeof adjustRateLimitsCard>(
  'adjustRateLimits',
  async (input, run) => {
    const place = { service: input.service, environment: input.environment };
    const before = await look(run, input);
    shareFact(run, 'refusedShareBefore', before);
    const unchecked = await uncheckedOf(run, place);
    const remedy = await chooseRemedy(run, input, before);
    const draft = draftOf(place, remedy, before, unchecked);
    const decided = remedy.decided && mayDecide(run);
    const stopIfOver = () => look(run, input);
    await gateUnlessOver({ run, decided }, draft, stopIfOver);
    await adjustForAWhile(run, place, remedy, { facts: before, stopIfOver });
    return conclude(run, place, remedy, before);
  },
);

/** Ends the run where nobody is refused who should not be. */
async function look(run: Run, input: Input): Promise<LimitFacts> {
  const place = { service: input.service, environment: input.environment };
  const facts = await run.step('Who is refused?', (act) => act.readLimits(place), {
    describe: (now) => `${limitText(now)}; refused: ${now.blockedDetail}; store: ${now.storeDetail}`,
  });
  if (facts.refusedShare === null)
    throw ApplicationFailure.nonRetryable(
      `${targetOf(place)} does not say how many requests its limits refuse (${facts.detail}): application.rateLimitStatus in the configuration must be there and its URL must answer with the share; then start again`,
      'NoRateLimitStatus',
    );
  if (facts.store?.tooMany === true)
    run.note(
      "Finding: the limiter's store is too large",
      `${facts.storeDetail}: look whether its keys expire`,
      { failed: true },
    );
  if (!isWanted(facts, input)) {
    await announceStore(run, place, facts);
    const store =
      facts.store?.tooMany === true ? `; the limiter's store is too large: ${facts.storeDetail}` : '';
    return run.nothingToDo(`${facts.detail}; refused: ${facts.blockedDetail}${store}`);
  }
  return facts;
}

function draftOf(place: Place, remedy: Remedy, facts: LimitFacts, unchecked: string[]): PlanDraft {
  const { who, exception, forMs, why } = remedy;
  return {
    actions: [
      {
        action: who.length === 0 ? 'raise the rate limits' : `${exception} for ${who.join(', ')}`,
        target: applicationIn(place),
        detail: `for ${duration(forMs)}, ${why}`,
      },
    ],
    warnings: [
      'limits also protect: change them only for customers, not for an attack',
      ...(facts.store?.tooMany === true
        ? [`the store of the limiter is too large: ${facts.storeDetail}`]
        : []),
      ...facts.unconfigured,
      ...unchecked,
    ],
    facts: { who: who.join(', ') || 'all', forMs },
  };
}

async function conclude(run: Run, place: Place, remedy: Remedy, before: LimitFacts): Promise<string> {
  // What was let through meanwhile must not count for the usual limits.
  await sleep(before.settleMs);
  const after = await run.step('Who is refused with the usual limits?', (act) => act.readLimits(place), {
    describe: ({ detail, blockedDetail }) => `${detail}; refused: ${blockedDetail}`,
  });
  shareFact(run, 'refusedShareAfter', after);
  run.fact('remedy', titleOf(remedy));
  if (after.tooMany)
    await run.task(
      `${targetOf(place)}: with the usual limits ${limitText(after)}, again (${after.blockedDetail}). Set limits that fit for good: higher ones, one for each user, or trusted addresses; or take care of the attack.`,
      overCheck(place),
    );
  await announceStore(run, place, after);
  return `${titleOf(remedy)} for ${duration(remedy.forMs)}; the usual limits are back, and ${after.detail}`;
}

async function announceStore(
  run: Run,
  { service }: Place,
  { store, storeDetail }: LimitFacts,
): Promise<void> {
  if (store?.tooMany === true)
    await run.announce(
      `${service}: the store of the rate limiter is too large (${storeDetail}). Look whether its keys expire.`,
    );
}
