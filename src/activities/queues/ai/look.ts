import type { Redis } from 'ioredis';
import type { Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { withProgress } from '../../support/heartbeat';
import { groupsOf, readFailed, type FailedJob, type FailureGroup } from '../failures';
import { readFlow } from '../flow';
import { putBackKey } from '../marks';
import { openQueue, requireKnown, withRedis, type OpenQueue } from '../redis';
import { aiWorkersOf } from '../settings';
import { classifierOf, retryAfterIn, type Classify, type Kind } from './classify';
import { readCurrent, readHealth, type Current, type ProviderHealth } from './provider';
import type { ProviderKind } from './schema';

export interface AiProvider extends ProviderHealth {
  name: string;
  hasStatus: boolean;
  hasTrial: boolean;
  contact?: string;
}

/** Failed tasks of one kind. */
export interface KindOfFailure {
  kind: Kind;
  /** Since `since`. */
  lately: number;
  /** Within the hours in which failed jobs may be retried, and never put back before. */
  open: number;
  /** Put back once before, and failed again. */
  again: number;
  /** Why, without numbers and secrets; the most frequent ones first. */
  reasons: FailureGroup[];
}

export interface AiWorkers {
  queue: string;
  current: Current;
  providers: AiProvider[];
  failures: KindOfFailure[];
  /** From when on failures and what ended well count as lately. */
  since: number;
  completed: number;
  /** Ended well after the newest failure of the provider. */
  completedAfter: number;
  /** The longest time that a provider has lately asked to be left alone for. */
  retryAfterMs: number;
  /** More have failed than were looked at: the newest ones. */
  cut: boolean;
  /** The clock of Redis. */
  nowMs: number;
  switchOn: ProviderKind[];
  canSlow: boolean;
  measures: string[];
  leaveAloneMs: number;
  waitMs: number;
}

const MAX_READ = 20_000;
const PAGE = 1_000;
const MAX_REASONS = 3;

export function createAiLookActivities(deps: ActivityDeps) {
  return {
    /**
     * Who generates, what their status pages say, and why tasks failed: within the configured window, or of those that were
     * begun after `begunAfter`. Reads only, and costs nothing, so a retry is safe. Throws as `readQueues`.
     */
    async readAiWorkers({ begunAfter, ...place }: Place & { begunAfter?: number }): Promise<AiWorkers> {
      const config = aiWorkersOf(deps, place);
      const progress = { phase: 'read failed tasks', done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, async () => {
        const providers = await Promise.all(
          config.providers.map(async (one) => ({
            name: one.name,
            hasStatus: one.status !== undefined,
            hasTrial: one.trial !== undefined,
            ...(one.contact === undefined ? {} : { contact: one.contact }),
            ...(await readHealth(deps, place, one)),
          })),
        );
        const tasks = await withRedis(deps, place, async (redis, settings) => {
          const open = openQueue(redis, settings, config.queue, place);
          await requireKnown(open);
          return tasksOf(open, classifierOf(config), {
            windowMs: config.windowMinutes * 60_000,
            begunAfter,
          });
        });
        return {
          queue: config.queue,
          current: await readCurrent(deps, place, config),
          providers,
          ...tasks,
          switchOn: config.switch?.on ?? [],
          canSlow: config.slower !== undefined,
          measures: config.measures,
          leaveAloneMs: config.leaveAloneSeconds * 1_000,
          waitMs: config.waitMinutes * 60_000,
        };
      });
    },
  };
}

interface Since {
  windowMs: number;
  begunAfter: number | undefined;
}

async function tasksOf({ redis, queue, settings }: OpenQueue, classify: Classify, wanted: Since) {
  const nowMs = await redisNow(redis);
  const since = wanted.begunAfter ?? nowMs - wanted.windowMs;
  const after = nowMs - settings.retryHours * 3_600_000;
  const marks = await redis.hkeys(putBackKey(queue));
  const found = await readAllFailed(async (start) =>
    readFailed(redis, queue, { start, count: PAGE, after, before: Infinity, newest: true }),
  );
  const isLately = ({ begunAt, finishedOn }: FailedJob) =>
    wanted.begunAfter === undefined ? Number(finishedOn) >= since : begunAt > since;
  const jobs = found.jobs.map((job) => ({ job, kind: classify(job.text), lately: isLately(job) }));
  const ofProvider = jobs.filter(({ kind }) => kind !== 'input' && kind !== 'other');
  const known = new Set(marks);
  const kinds = [...new Set(jobs.map(({ kind }) => kind))];
  const count = (from: number | string) => redis.zcount(queue.toKey('completed'), from, '+inf');
  const flow = await readFlow(redis, queue.toKey('events'), Math.max(1, nowMs - since));
  return {
    nowMs,
    since,
    cut: found.cut,
    completed: Math.max(await count(since), flow?.completed ?? 0),
    completedAfter: await count(`(${ofProvider[0]?.job.finishedOn ?? 0}`),
    retryAfterMs: Math.max(
      0,
      ...ofProvider.filter(({ lately }) => lately).map(({ job }) => retryAfterIn(job.text) ?? 0),
    ),
    failures: kinds.map((kind): KindOfFailure => {
      const own = jobs.filter((one) => one.kind === kind);
      return {
        kind,
        lately: own.filter(({ lately }) => lately).length,
        open: own.filter(({ job }) => !known.has(job.id)).length,
        again: own.filter(({ job }) => known.has(job.id)).length,
        reasons: groupsOf(own.map(({ job }) => job)).slice(0, MAX_REASONS),
      };
    }),
  };
}

async function readAllFailed(
  page: (start: number) => Promise<FailedJob[]>,
): Promise<{ jobs: FailedJob[]; cut: boolean }> {
  const jobs: FailedJob[] = [];
  for (let start = 0; start < MAX_READ; start += PAGE) {
    const found = await page(start);
    jobs.push(...found.filter(({ opts }) => opts !== undefined));
    if (found.length < PAGE) return { jobs, cut: false };
  }
  return { jobs, cut: true };
}

export async function redisNow(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}
