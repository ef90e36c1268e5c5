import { patched } from '@temporalio/workflow';
import type { CronRef, CronStatus } from '../../../activities/application/crons';
import type { InputOf } from '../../../catalogue/card';
import { duration, runbook, type Run } from '../../kit';
import { applicationIn } from '../serving';
import type { recoverCronCard } from './card';
import { findingOf, isLost, isWell, mustRun, planFor, urgencyOf } from './plan';
import { runOnce, type LastRun } from './run-once';
import { mendScheduler, redeploy } from './scheduler';

type Input = InputOf<typeof recoverCronCard>;

/** Runs a job that has stopped, and stays until its scheduler runs it again. */
export const recoverCron = runbook<typeof recoverCronCard>('recoverCron', async (input, run) => {
  const startedAt = Date.now();
  const cron = await choose(input, run);
  let before = await look(run, cron);
  run.fact('job', cron.job);
  if (before.ageMs !== null) run.fact('ageBeforeSeconds', Math.round(before.ageMs / 1_000));
  let stale = false;
  await run.gate(async () => {
    if (stale) before = await look(run, cron);
    stale = true;
    return planFor(cron, before);
  });

  const after = mustRun(before)
    ? await runOnce(run, cron, before)
    : { ran: false, status: before, since: before.lastRunAt };
  const { redeployed, last } =
    isLost(before) && before.canRedeploy
      ? await redeployLost(run, cron, after)
      : { redeployed: false, last: after };
  const mended = await mendScheduler(run, cron, last, redeployed);
  return conclude(run, cron, before, mended, startedAt);
});

/** The job of the input, or the only one that there is. */
async function choose({ service, environment, job }: Input, run: Run): Promise<CronRef> {
  const place = { service, environment };
  const wanted = job === undefined ? place : { ...place, job };
  return { ...place, job: await run.look('Which job is meant', (act) => act.chooseCron(wanted)) };
}

/** Ends the run where the job is well. */
async function look(run: Run, cron: CronRef): Promise<CronStatus> {
  const found = await run.step('Read the last run', (act) => act.readCron(cron), {
    describe: ({ detail, scheduleDetail }) => `${detail}; ${scheduleDetail}`,
  });
  if (isWell(found)) return run.nothingToDo(`${cron.job} runs: ${found.detail}`);
  run.note(`Finding: ${findingOf(cron, found)}`, `${found.detail}; ${found.scheduleDetail}`);
  run.note(urgencyOf(found).title, urgencyOf(found).why);
  run.fact('urgent', !found.healsLazily);
  return found;
}

/** Unless its schedule has come back meanwhile. */
function redeployLost(
  run: Run,
  cron: CronRef,
  last: LastRun,
): Promise<{ redeployed: boolean; last: LastRun }> {
  return run.exclusively(applicationIn(cron), async (fence) => {
    if (patched('read-under-lease')) {
      const status = await run.step('Is its schedule still lost?', (act) => act.readCron(cron), {
        describe: ({ scheduleDetail }) => scheduleDetail,
      });
      if (!last.ran && isWell(status)) return run.nothingToDo(`${cron.job} runs again: ${status.detail}`);
      if (!isLost(status)) return { redeployed: false, last: { ...last, status } };
    }
    await redeploy(run, cron, fence);
    return { redeployed: true, last };
  });
}

/** What a post-mortem needs. */
async function conclude(
  run: Run,
  cron: CronRef,
  before: CronStatus,
  mended: string,
  startedAt: number,
): Promise<string> {
  const after = await run.step('Read the last run again', (act) => act.readCron(cron), {
    describe: ({ detail }) => detail,
  });
  if (after.undone !== null) run.fact('undoneAfter', after.undone);
  if (before.undone !== null) run.fact('undoneBefore', before.undone);
  const took = Date.now() - startedAt;
  const finding = findingOf(cron, before);
  run.fact('cause', finding);
  run.fact('remedy', mended);
  run.fact('resolvedAfterSeconds', Math.round(took / 1_000));
  run.note(
    'Post-mortem draft',
    `Cause: ${finding}; ${before.scheduleDetail}. Evidence: ${before.detail}. Remedy: ${mended}, after ${duration(took)}. Open: why its scheduler stopped, and what prevents the next time.`,
  );
  await run.announce(`${cron.service}: ${cron.job} runs again (${after.detail}). ${mended}.`);
  return `${cron.job} runs again: ${after.detail}; ${mended}`;
}
