import { defineQuery, proxyActivities, setHandler, sleep } from '@temporalio/workflow';

export const ACTIVITIES = 'ahead-activities';

/** Looks once a second for three seconds, once its activity has ended: by the clock. */
export async function looksByTheClock(): Promise<number> {
  let looks = 0;
  setHandler(defineQuery<number>('looks'), () => looks);
  await proxyActivities<{ block(): Promise<void> }>({
    taskQueue: ACTIVITIES,
    startToCloseTimeout: '5 minutes',
  }).block();
  for (const until = Date.now() + 3_000; Date.now() < until; looks += 1) await sleep(1_000);
  return looks;
}
