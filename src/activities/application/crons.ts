import { ApplicationFailure } from '@temporalio/common';
import type { CronConfig } from '../../config/cron-schema';
import { environmentOf, UnknownName } from '../../config/load';
import type { SourceConfig } from '../../config/source-schema';
import { targetOf, type Fence, type Place } from '../../contract/place';
import { duration } from '../../contract/text';
import { lastRunFrom } from '../observe/last-run';
import { numberOf, type Reading } from '../observe/reading';
import { readSource } from '../observe/source';
import { runFencedChange } from '../postgres/session/fenced-change';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';

export interface CronRef extends Place {
  job: string;
}

/** A job that a scheduler starts again and again, at one moment. */
export interface CronStatus {
  /** ISO time; null where it never ran. */
  lastRunAt: string | null;
  ageMs: number | null;
  /** It should have run twice since. */
  stale: boolean;
  everyMs: number;
  settleMs: number;
  /** How much it should have done by now and has not; null where nothing is configured that says so. */
  undone: number | null;
  /** `lost`: the platform has another one, or none. Null where nothing is configured that could be asked. */
  schedule: 'kept' | 'lost' | 'unknown' | null;
  scheduleDetail: string;
  healsLazily: boolean;
  canRedeploy: boolean;
  detail: string;
}

/** What came of running a job. */
export interface CronRun extends CommandResult {
  /** It was not run, because it does not accept the secret. */
  refused: boolean;
}

/** Jobs that a scheduler outside of the application starts. */
export function createCronActivities(deps: ActivityDeps) {
  const cronsOf = ({ service, environment }: Place): Record<string, CronConfig> =>
    environmentOf(deps.config, service, environment).application?.crons ?? {};

  function cronOf(ref: CronRef): CronConfig {
    const crons = cronsOf(ref);
    const cron = crons[ref.job];
    if (cron !== undefined) return cron;
    const kind = `job of ${targetOf(ref)}`;
    throw fail('InvalidInput', new UnknownName(kind, ref.job, Object.keys(crons)).message);
  }

  const read = ({ job, ...place }: CronRef, what: string, source: SourceConfig): Promise<Reading> =>
    readSource(deps, place, source, {
      action: `read ${what} of ${job} on ${targetOf(place)}`,
      parameters: { job },
    });

  return {
    /** The job that is meant where none is named: the only one that there is. Throws InvalidInput. */
    async chooseCron({ job, ...place }: Place & { job?: string }): Promise<string> {
      const names = Object.keys(cronsOf(place));
      if (job !== undefined) return cronOf({ ...place, job }) && job;
      if (names.length === 1) return names[0]!;
      throw fail(
        'InvalidInput',
        names.length === 0
          ? `${targetOf(place)} has no jobs; add one under application.crons in the configuration, then start again.`
          : `${targetOf(place)} has several jobs; start again with \`job\`, one of: ${names.join(', ')}.`,
      );
    },

    /**
     * When a job ran last, what it left undone, and the schedule that the platform has for it. Reads only, so a retry is
     * safe. Throws InvalidInput, and CronUnknown where nobody can say when it ran or what it left: that is tried again.
     */
    async readCron(ref: CronRef): Promise<CronStatus> {
      const cron = cronOf(ref);
      const progress = { phase: `read ${ref.job}`, done: 0, total: 0, unit: 'statements' as const };
      const [last, undone, schedule] = await withProgress(progress, () =>
        Promise.all([
          read(ref, 'the last run', cron.lastRun),
          cron.undone === undefined ? undefined : read(ref, 'what is undone', cron.undone),
          cron.schedule === undefined ? undefined : read(ref, 'the schedule', cron.schedule),
        ]),
      );
      const everyMs = cron.everySeconds * 1_000;
      const lastRunMs = lastRunOf(last, ref, cron.lastRun);
      const ageMs = lastRunMs === null ? null : Math.max(0, Date.now() - lastRunMs);
      const left = undone === undefined ? null : undoneOf(undone, ref);
      return {
        lastRunAt: lastRunMs === null ? null : new Date(lastRunMs).toISOString(),
        ageMs,
        stale: ageMs === null || ageMs > 2 * everyMs,
        everyMs,
        settleMs: cron.settleSeconds * 1_000,
        undone: left,
        ...scheduleOf(schedule, cron.schedule, cron.expectedSchedule),
        healsLazily: cron.healsLazily,
        canRedeploy: cron.redeploy !== undefined,
        detail: [
          ageMs === null ? 'it never ran' : `last run ${duration(ageMs)} ago`,
          `every ${duration(everyMs)}`,
          ...(left === null ? [] : [`${left} undone`]),
        ].join(', '),
      };
    },

    /**
     * Runs a job once. A retry runs it again: whoever configures it makes that harmless. That it does not accept the secret
     * is a result and no error: a person mends that. Throws InvalidInput, StaleFencingToken, FenceBusy, WrongDatabase,
     * DatabaseUnreachable, CommandFailed, HttpFailed.
     */
    async runCron({ fence, ...ref }: CronRef & { fence: Fence }): Promise<CronRun> {
      const { job, ...place } = ref;
      try {
        const done = await runFencedChange(deps, { ...place, fence }, cronOf(ref).run, `run ${job}`, { job });
        return { ...done, refused: false };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        return { ran: false, refused: true, detail: error.message, durationMs: 0 };
      }
    },

    /** Has the platform take the schedule again. A retry does it once more. Throws as `runCron`. */
    async redeployCron({ fence, ...ref }: CronRef & { fence: Fence }): Promise<CommandResult> {
      const { job, ...place } = ref;
      const { redeploy } = cronOf(ref);
      if (redeploy === undefined) return { ran: false, detail: 'no redeploy configured', durationMs: 0 };
      return runFencedChange(deps, { ...place, fence }, redeploy, `redeploy for ${job}`, { job });
    },
  };
}

function isRefusal(error: unknown): error is ApplicationFailure {
  if (!(error instanceof ApplicationFailure) || error.type !== 'HttpFailed') return false;
  const [details] = (error.details ?? []) as { status?: number }[];
  return details?.status === 401 || details?.status === 403;
}

/** Who keeps it says with an empty one that there is none; a series or an output that is missing says nothing. */
function keepsIt({ operation, sql }: SourceConfig): boolean {
  return operation !== undefined || sql !== undefined;
}

/** Milliseconds; null where it never ran. That nobody can say is no answer. */
function lastRunOf(reading: Reading, { job, ...place }: CronRef, source: SourceConfig): number | null {
  const whose = `the last run of ${job} on ${targetOf(place)}`;
  if (!reading.known) {
    if (reading.why === 'no-data' && keepsIt(source)) return null;
    throw fail('CronUnknown', `${whose} is not known: ${reading.detail}`, {
      retryable: reading.lasting !== true,
    });
  }
  const found = lastRunFrom(reading.value, Date.now());
  if ('ms' in found) return found.ms;
  throw fail('CronUnknown', `${whose} ${found.wrong}; correct lastRun in the configuration.`);
}

function undoneOf(reading: Reading, { job, ...place }: CronRef): number {
  const count = reading.known ? numberOf(reading.value) : undefined;
  if (count !== undefined) return count;
  const why = reading.known ? `"${String(reading.value).slice(0, 100)}" is no number` : reading.detail;
  throw fail('CronUnknown', `what ${job} left undone on ${targetOf(place)} is not known: ${why}`, {
    retryable: reading.known || reading.lasting !== true,
  });
}

function scheduleOf(
  reading: Reading | undefined,
  source: SourceConfig | undefined,
  expected = '',
): Pick<CronStatus, 'schedule' | 'scheduleDetail'> {
  if (reading === undefined || source === undefined)
    return { schedule: null, scheduleDetail: 'no schedule is configured' };
  if (!reading.known && (reading.why !== 'no-data' || !keepsIt(source)))
    return { schedule: 'unknown', scheduleDetail: `the platform's schedule is not known: ${reading.detail}` };
  const said = reading.known ? String(reading.value).trim() : '';
  if (said === expected) return { schedule: 'kept', scheduleDetail: `the platform's schedule is ${said}` };
  const has = said === '' ? 'no schedule' : `the schedule "${said.slice(0, 100)}"`;
  return { schedule: 'lost', scheduleDetail: `the platform has ${has}, wanted "${expected}"` };
}
