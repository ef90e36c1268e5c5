import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { CronRef, CronStatus } from '../../../activities/application/crons';
import { targetOf, type Fence } from '../../../contract/place';
import { duration, type Run, type TaskCheck } from '../../kit';
import { applicationIn } from '../serving';
import { isLost, isWatched, patienceOf } from './plan';
import { hasMoved, type LastRun } from './run-once';

const LOOK_EVERY_MS = 1_000;
const MAX_LOOKS = 60;
const REDEPLOYED = 'the application was redeployed';

/**
 * Waits until the job has run by itself; redeploys where it does not, unless that was done already; a person mends what
 * then is still not well. Returns what was done.
 */
export async function mendScheduler(
  run: Run,
  cron: CronRef,
  last: LastRun,
  redeployed: boolean,
): Promise<string> {
  const { status } = last;
  if (isWatched(status) && (redeployed || !isLost(status))) {
    if (await runsByItself(run, cron, last))
      return redeployed ? REDEPLOYED : last.ran ? 'it was run once' : 'its schedule came back by itself';
    if (status.canRedeploy && !redeployed) {
      run.note('Finding: its scheduler does not start it', status.scheduleDetail);
      await run.exclusively(applicationIn(cron), (fence) => redeploy(run, cron, fence));
      if (await runsByItself(run, cron, last)) return REDEPLOYED;
    }
  }
  await run.task(schedulerTask(cron, status), ownRunCheck(cron, last));
  return 'people were asked to see to its scheduler, and it ran by itself';
}

/** The platform takes the schedules of what is deployed. */
export async function redeploy(run: Run, cron: CronRef, fence: Fence): Promise<void> {
  await run.step('Redeploy', (act) => act.redeployCron({ ...cron, fence }), {
    kind: 'mutate',
    undo: { irreversible: REDEPLOYED, unless: ({ ran }) => !ran },
    describe: ({ detail }) => detail,
  });
  // Where it has not, a person hears of it: no reason to end here.
  await run.check('The platform has its schedule', async (act) => {
    const now = await untilKept(act, cron);
    return { ok: !isLost(now), detail: now.scheduleDetail };
  });
}

async function untilKept(act: Activities, cron: CronRef): Promise<CronStatus> {
  let now = await act.readCron(cron);
  for (const deadline = Date.now() + now.settleMs; isLost(now) && Date.now() < deadline;) {
    await sleep(Math.max(LOOK_EVERY_MS, now.settleMs / MAX_LOOKS));
    now = await act.readCron(cron);
  }
  return now;
}

/** Only that shows that its scheduler is well. */
async function runsByItself(run: Run, cron: CronRef, { status: last, since }: LastRun): Promise<boolean> {
  const patienceMs = patienceOf(last);
  const now = await run.step('Does it run by itself?', (act) => untilOwnRun(act, cron, since, patienceMs), {
    describe: (status) =>
      hasMoved(since, status) ? status.detail : `not within ${duration(patienceMs)}: ${status.detail}`,
  });
  return hasMoved(since, now);
}

async function untilOwnRun(
  act: Activities,
  cron: CronRef,
  since: string | null,
  patienceMs: number,
): Promise<CronStatus> {
  let now = await act.readCron(cron);
  for (const deadline = Date.now() + patienceMs; !hasMoved(since, now) && Date.now() < deadline;) {
    await sleep(Math.max(LOOK_EVERY_MS, patienceMs / MAX_LOOKS));
    now = await act.readCron(cron);
  }
  return now;
}

function ownRunCheck(cron: CronRef, { status: last, since }: LastRun): TaskCheck {
  return {
    title: 'Has it run by itself?',
    everyMs: Math.min(60_000, Math.max(LOOK_EVERY_MS, last.everyMs / 2)),
    call: async (act) => {
      const now = await act.readCron(cron);
      return { ok: hasMoved(since, now), detail: now.detail };
    },
  };
}

function schedulerTask({ job, ...place }: CronRef, last: CronStatus): string {
  const why = isWatched(last) ? 'was not started by its scheduler' : 'comes too seldom to be watched';
  return `${job} of ${targetOf(place)} ${why} (${last.scheduleDetail}). Look at the platform, or at the external scheduler: is its schedule there and switched on, and its secret the one that the application has? Mend it. This run goes on by itself when the job has run.`;
}
