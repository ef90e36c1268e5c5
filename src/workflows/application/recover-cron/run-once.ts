import { patched, sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { CronRef, CronRun, CronStatus } from '../../../activities/application/crons';
import { targetOf } from '../../../contract/place';
import { causeOf, type Run, type Verdict } from '../../kit';
import { applicationIn } from '../serving';
import { isWell, mustRun } from './plan';

const MAX_REFUSALS = 3;
const LOOK_EVERY_MS = 1_000;
const MAX_LOOKS = 60;

export interface LastRun {
  /** By this run of ours. */
  ran: boolean;
  status: CronStatus;
  /** ISO time; what runs later is none of ours. Null where it never ran. */
  since: string | null;
}

/** Runs the job, and makes sure that it did something. Returns how it is afterwards. */
export async function runOnce(run: Run, cron: CronRef, planned: CronStatus): Promise<LastRun> {
  for (let refusals = 0; refusals < MAX_REFUSALS; refusals += 1) {
    const after = await run.exclusively(applicationIn(cron), async (fence) => {
      const before = await readUnderLease(run, cron, planned);
      if (!mustRun(before)) return { ran: false, status: before, since: before.lastRunAt };
      const ran = await run.step('Run it once', (act) => act.runCron({ ...cron, fence }), {
        kind: 'mutate',
        undo: { irreversible: `what ${cron.job} has done stays done`, unless: (result) => !result.ran },
        describe: ({ detail }) => detail,
      });
      if (ran.refused) return ran;
      const endedAt = Date.now();
      const status = await verifyRun(run, cron, before, ran);
      return { ran: true, status, since: sinceOurs(status, endedAt) };
    });
    if (!('refused' in after)) return after;
    // Without the lease: people need their time.
    await run.task(secretTask(cron, after));
  }
  return run.needsHuman(`${cron.job} refuses its secret, also after it was mended ${MAX_REFUSALS} times`);
}

/** While a run waits for its lease, or for people, the job may have come back by itself. Ends the run where it is well. */
async function readUnderLease(run: Run, cron: CronRef, planned: CronStatus): Promise<CronStatus> {
  if (!patched('read-under-lease')) return planned;
  const now = await run.step('Is it still so?', (act) => act.readCron(cron), {
    describe: ({ detail, scheduleDetail }) => `${detail}; ${scheduleDetail}`,
  });
  return isWell(now) ? run.nothingToDo(`${cron.job} runs again: ${now.detail}`) : now;
}

/** An attempt that was lost may still run, and what it writes is seen that much later. */
function sinceOurs({ lastRunAt, settleMs }: CronStatus, endedAt: number): string | null {
  if (!patched('own-runs-settle')) return lastRunAt;
  const settledAt = new Date(endedAt + settleMs).toISOString();
  return lastRunAt !== null && lastRunAt > settledAt ? lastRunAt : settledAt;
}

function secretTask({ job, ...place }: CronRef, { detail }: CronRun): string {
  return `${job} of ${targetOf(place)} does not accept its secret (${detail}). Compare the secret that the worker has for application.crons.${job}.run with the one that the application has, and with the platform's; make them the same. Then it is run again.`;
}

async function verifyRun(run: Run, cron: CronRef, before: CronStatus, ran: CronRun): Promise<CronStatus> {
  try {
    return await run.verify(
      'It has run, and has done its work',
      (act) => untilRun(act, cron, before),
      (now) => hasRun(before, now, ran),
    );
  } catch (error) {
    if (causeOf(error).type === 'VerificationFailed') await tell(run, cron, before, causeOf(error).message);
    throw error;
  }
}

async function untilRun(act: Activities, cron: CronRef, before: CronStatus): Promise<CronStatus> {
  let now = await act.readCron(cron);
  const everyMs = Math.max(LOOK_EVERY_MS, now.settleMs / MAX_LOOKS);
  for (const deadline = Date.now() + now.settleMs; !isDone(before, now) && Date.now() < deadline;) {
    await sleep(everyMs);
    now = await act.readCron(cron);
  }
  return now;
}

export function hasMoved(since: string | null, { lastRunAt }: CronStatus): boolean {
  return lastRunAt !== null && (since === null || lastRunAt > since);
}

function isDone(before: CronStatus, now: CronStatus): boolean {
  return hasMoved(before.lastRunAt, now) && (now.undone ?? 0) === 0;
}

function hasRun(before: CronStatus, now: CronStatus, ran: CronRun): Verdict {
  if (isDone(before, now)) return { ok: true, detail: now.detail };
  const { lastRunAt } = before;
  if (!hasMoved(lastRunAt, now))
    return {
      ok: false,
      detail: `it was run (${ran.detail}), and did nothing: ${lastRunAt === null ? 'it still never ran' : `the last run is still that of ${lastRunAt}`}`,
    };
  return { ok: false, detail: `it was run (${ran.detail}), and ${now.undone} are still undone` };
}

/** Nobody is woken for what reads mend. */
async function tell(run: Run, { service, job }: CronRef, before: CronStatus, why: string): Promise<void> {
  const text = `${service}: ${job} does not do its work (${why}). Look at its code and its logs; its scheduler is not what is wrong.`;
  await (before.healsLazily ? run.announce(text) : run.page(text));
}
