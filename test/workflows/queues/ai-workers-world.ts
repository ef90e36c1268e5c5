import { activityInfo } from '@temporalio/activity';
import type { AiProvider, AiWorkers, KindOfFailure } from '../../../src/activities/queues/ai/look';
import type { PutBackInput, PutBackOutcome } from '../../../src/activities/queues/ai/put-back';
import type { QueuesStatus, QueueStatus } from '../../../src/activities/queues/look';
import { fail } from '../../../src/activities/support/failure';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { databaseOfNobody } from '../database-of-nobody';

export const failure = (more: Partial<KindOfFailure> = {}): KindOfFailure => ({
  ...{ kind: 'outage', lately: 0, open: 0, again: 0, reasons: [{ reason: 'Overloaded', count: 1 }] },
  ...more,
});
const provider = (name: string, state: AiProvider['state']): AiProvider => ({
  ...{ name, state, detail: `says ${state}`, hasStatus: true, hasTrial: true },
});
const usualQueue: QueueStatus = {
  ...{ name: 'texts', critical: false, waiting: 0, active: 0, delayed: 0, failed: 0, workers: 1 },
  ...{ delayMs: 0, maxDelayMs: 60_000, paused: false, pausedBy: null, flow: null, maxFailedShare: 0.1 },
  ...{ recent: { failed: 0, completed: 0, since: 0 }, failures: [], odd: 0, failedUntil: null },
  ...{ newestEvent: null, added: 0 },
};

/** What the run sees, and what it did, in order. */
export interface FakeWorkers {
  current: string;
  providers: AiProvider[];
  failures: KindOfFailure[];
  /** Since a remedy. */
  failuresAfter: KindOfFailure[];
  /** Lately, or since a remedy. */
  completed: number;
  completedAfter: number;
  queue: QueueStatus;
  ai: Partial<AiWorkers>;
  trialOk: boolean;
  /** Failures that may be put back, and how many were, in how many rounds. */
  open: number;
  back: number;
  rounds: number;
  maxRetries: number;
  /** Until when tasks were begun that are put back, round by round, and from when on all are expected to end well. */
  until: number[];
  wellSince: number;
  /** For how long a provider was left alone at least. */
  aloneMs: number;
  /** How many of what is put back fail, round by round; the last one again and again. */
  failing: { kind: KindOfFailure['kind']; count: number }[];
  older: number;
  lost: boolean;
  smoke: boolean;
  measured: { value: number | null; ok: boolean };
  /** Of the provider that is waited for. */
  mended: AiProvider['state'];
  /** Well after so many looks. */
  mendedAfter: number;
  did: string[];
  said: string[];
}

export const fakeWorkers = (): FakeWorkers => ({
  ...{ current: 'one', providers: [provider('one', 'unwell'), provider('two', 'well')] },
  ...{ failures: [failure({ lately: 5, open: 5 })], failuresAfter: [], completed: 0, completedAfter: 0 },
  ...{
    queue: usualQueue,
    ai: {},
    trialOk: true,
    open: 5,
    back: 0,
    rounds: 0,
    failing: [],
    older: 0,
    lost: false,
    smoke: true,
  },
  ...{ maxRetries: 1_000, until: [], wellSince: 0, aloneMs: 0 },
  ...{ measured: { value: 1, ok: true }, mended: 'well', mendedAfter: Infinity, did: [], said: [] },
});

/** One for each test: what a run holds that hangs keeps no other one waiting. */
export const SERVICES = Array.from({ length: 60 }, (_, index) => `shop-${index}`);
const service = { mode: 'auto', environments: { production: { database: databaseOfNobody } } };

/** The runbook with activities that operate nothing, whose time is skipped. */
export async function startFakeWorkers(world: () => FakeWorkers): Promise<TestEnvironment> {
  const did = (what: string) => void world().did.push(what);
  const done = (what: string) => (did(what), { changed: true, detail: what, ran: true, durationMs: 1 });
  const nowMs = () => activityInfo().currentAttemptScheduledTimestampMs;
  const status = (): QueuesStatus => ({
    ...{ queues: [world().queue], canScale: false, windowMs: 60_000, patienceMs: 60_000 },
    ...{ trialJobs: 2, maxRetries: world().maxRetries },
  });
  return startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: { services: Object.fromEntries(SERVICES.map((name) => [name, service])) },
    activities: {
      readAiWorkers: async ({ begunAfter }: { begunAfter?: number }): Promise<AiWorkers> => {
        world().wellSince = begunAfter ?? 0;
        const { current, providers, failures, failuresAfter, completed, completedAfter, ai } = world();
        return {
          ...{ queue: 'texts', current: { name: current, detail: 'read' }, providers, since: 0, cut: false },
          ...{ failures: begunAfter === undefined ? failures : failuresAfter, completed, completedAfter },
          ...{
            retryAfterMs: 0,
            nowMs: nowMs(),
            switchOn: ['outage', 'timeout'],
            canSlow: true,
            measures: [],
          },
          ...{ leaveAloneMs: 60_000, waitMs: 600_000, ...ai },
        };
      },
      readQueues: async ({ seen = [] }: { seen?: unknown[] }) => {
        if (world().lost && seen.length > 0) throw fail('QueueDataLost', 'Redis has lost jobs.');
        return status();
      },
      measure: async () => [{ name: 'seconds', detail: '90 seconds', ...world().measured }],
      tryAiProvider: async (input: { provider: string }) => {
        did(`try ${input.provider}`);
        return { ok: world().trialOk, detail: 'answered' };
      },
      switchAiProvider: async ({ to, leaveThird = false }: { to: string; leaveThird?: boolean }) => {
        world().current = to;
        return done(`switch to ${to}${leaveThird ? ', unless to a third one' : ''}`);
      },
      slowAiWorkers: async () => done('slower'),
      restoreAiWorkers: async () => done('as before'),
      awaitAiProvider: async (input: { provider: string; notBeforeMs: number }) => {
        did(`await ${input.provider}`);
        if (input.notBeforeMs > 0) world().aloneMs = input.notBeforeMs - nowMs();
        const looks = world().did.filter((one) => one.startsWith('await')).length;
        const state = looks > world().mendedAfter ? 'well' : world().mended;
        return { state, detail: `says ${state}` };
      },
      pauseQueue: async () => done('pause'),
      resumeQueue: async ({ onlyOwn }: { onlyOwn: boolean }) => done(onlyOwn ? 'resume' : 'resume theirs'),
      putAiTasksBack: async ({ limit, begunUntil }: PutBackInput) => {
        world().until.push(begunUntil);
        const back = Math.min(limit, world().open);
        Object.assign(world(), { back, rounds: world().rounds + 1 });
        did(`put back ${back}`);
        return { count: back, left: world().open - back, again: 0 };
      },
      followAiTasks: async (): Promise<PutBackOutcome> => {
        const { failing, older, back, rounds } = world();
        const failed = [failing[rounds - 1] ?? failing.at(-1)]
          .flatMap((one) => one ?? [])
          .filter(({ count }) => count > 0);
        const bad = failed.reduce((sum, { count }) => sum + count, 0);
        return {
          ...{ done: back - bad, pending: 0, older, nowMs: nowMs() + 1_000 },
          failed: failed.map((one) => ({ ...one, says: 'Overloaded' })),
        };
      },
      listChecks: async () => ({ health: 1, errorRate: false, smoke: true }),
      checkHealth: async () => [],
      runServiceCommand: async () => {
        if (!world().smoke) throw fail('CommandFailed', 'the smoke test failed');
        return { ran: true, detail: 'well', durationMs: 1 };
      },
      announce: async ({ text }: { text: string }) => {
        world().said.push(text);
        return { told: ['chat'], problems: [] };
      },
    },
  });
}
