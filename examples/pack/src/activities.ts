import {
  environmentOf,
  fail,
  readConfiguredCommand,
  runFencedCommand,
  type ActivityDeps,
  type Fence,
  type Place,
} from 'durable-runbooks/activity';
import type { cronSettings } from './settings';

interface CronJob extends Place {
  job: string;
}

/** Reads and runs the jobs of an environment. */
export function createActivities(deps: ActivityDeps<typeof cronSettings>) {
  const cronOf = ({ service, environment }: Place) => {
    const { cron } = environmentOf(deps.config, service, environment);
    if (cron !== undefined) return cron;
    const path = `services.${service}.environments.${environment}.cron`;
    throw fail('CronNotConfigured', `${path} is missing in runbooks.yaml. Add it, then start again.`);
  };
  return {
    /** When a job ran last. Reads only, so a retry is safe. */
    async readCronStatus(at: CronJob): Promise<{ ageSeconds: number; stale: boolean }> {
      const { lastRun, maxAgeMinutes } = cronOf(at);
      const printed = (await readConfiguredCommand(deps, lastRun, { JOB: at.job })).trim();
      const ranAt = Date.parse(printed);
      if (Number.isNaN(ranAt))
        throw fail('CronUnknown', `${at.job}: \`${lastRun.run.join(' ')}\` printed no time: ${printed}`);
      const ageSeconds = Math.round((Date.now() - ranAt) / 1_000);
      return { ageSeconds, stale: ageSeconds > maxAgeMinutes * 60 };
    },

    /** Runs a job once. Twice is harmless, so a retry is safe; a run that lost its lease is refused at the database. */
    async runCronJob(at: CronJob & { fence: Fence }): Promise<{ detail: string }> {
      const { run } = cronOf(at);
      const { detail } = await runFencedCommand(deps, at, run, `run ${at.job}`, { JOB: at.job });
      return { detail };
    },
  };
}
