import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Blocked, LimitFacts } from '../../../src/activities/application/blocked';
import type { CommandResult } from '../../../src/activities/support/configured-command';
import type { RunStatus } from '../../../src/contract/report';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { databaseOfNobody } from '../database-of-nobody';

quietTemporal();
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const blocked = (who: string, more: Partial<Blocked> = {}): Blocked => ({
  ...{ who, refused: 10, trusted: true, known: null },
  ...more,
});
const usual: LimitFacts = {
  ...{ refusedShare: 0.4, tooMany: true, limit: '5', detail: '40.0 % of the requests are refused' },
  ...{ blocked: [blocked('203.0.113.1')], refusedRequests: 10, blockedDetail: '203.0.113.1 (10 refused)' },
  ...{ store: null, storeDetail: 'not looked at', exceptions: ['allow-list'], exceptionMs: HOUR_MS },
  ...{ raiseMs: 12 * HOUR_MS, settleMs: MINUTE_MS, unconfigured: [] },
};
const well = { refusedShare: 0, tooMany: false, blocked: [], refusedRequests: 0, detail: '0.0 % of them' };

let facts: LimitFacts;
/** What was done, and when by the clock of the server, which skips time. */
let done: { what: string; atMs: number }[];
let looks: number[];
let healthy: (looks: number) => boolean;
let failing: string[];
let helps: boolean;
let told: { text: string; kind: string }[];

const nowMs = () => activityInfo().currentAttemptScheduledTimestampMs;
const change = async (what: string): Promise<CommandResult> => {
  if (failing.includes(what))
    throw ApplicationFailure.nonRetryable(`${what} cannot be done`, 'CommandFailed');
  done.push({ what, atMs: nowMs() });
  // Whoever is exempted, and everybody where all have more, is refused no longer; with the usual limits they are well.
  if (helps) facts = { ...facts, ...well };
  return { ran: true, detail: what, durationMs: 1 };
};

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: {
      services: { shop: { mode: 'auto', environments: { production: { database: databaseOfNobody } } } },
    },
    activities: {
      readLimits: async () => facts,
      readRateLimits: async () => facts,
      raiseRateLimits: () => change('raise'),
      restoreRateLimits: () => change('restore'),
      setException: ({ who }: { who: string }) => change(`exempt ${who}`),
      unsetException: ({ who }: { who: string }) => change(`end ${who}`),
      listChecks: async () => ({ health: 1, errorRate: false, smoke: false }),
      checkHealth: async () => {
        looks.push(nowMs());
        return [{ name: 'alive', ok: healthy(looks.length), detail: 'answered' }];
      },
      runServiceCommand: async () => ({ ran: false, detail: '', durationMs: 0 }),
      announce: async ({ text, kind }: { text: string; kind: string }) => {
        told.push({ text, kind });
        return { told: ['chat'], problems: [] };
      },
    },
  });
});
beforeEach(() => {
  [facts, done, looks, failing, told] = [usual, [], [], [], []];
  [healthy, helps] = [() => true, true];
});
afterAll(() => environment?.stop());

const start = (input = {}) =>
  environment.start('adjustRateLimits', { service: 'shop', environment: 'production', ...input });
const whats = () => done.map(({ what }) => what);

it('limits that were raised for half a day go back after half a day, and are looked after meanwhile', async () => {
  facts = { ...usual, exceptions: [] };
  const handle = await start();
  const { id, question, choices } = await environment.waiting(handle, 'decision');
  expect(question).toMatch(
    /40\.0 % of the requests are refused, with a limit of 5\. Refused: 203\.0\.113\.1/,
  );
  await environment.answer(handle, 'decide', { question: id, choice: choices![0]!, by: 'ben' });
  const { outcome, summary } = await environment.end(handle);
  expect([outcome, summary]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/raised for 12 h .*usual limits are back/),
  ]);
  expect(whats()).toEqual(['raise', 'restore']);
  const lasted = done[1]!.atMs - done[0]!.atMs;
  expect(lasted).toBeGreaterThanOrEqual(12 * HOUR_MS);
  expect(lasted).toBeLessThan(13 * HOUR_MS);
  // Once before, and then no more than sixty times, however long it takes.
  expect(looks.length).toBeGreaterThan(50);
  expect(looks.length).toBeLessThanOrEqual(61);
  await environment.replay(handle);
});

it('an application that is no longer well after hours has its usual limits back at once', async () => {
  healthy = (count) => count < 10;
  const handle = await start({ minutes: 24 * 60 });
  const { outcome, summary } = await environment.end(handle);
  expect([outcome, summary]).toEqual([
    'FAILED',
    expect.stringMatching(/It stays well with them: alive: answered/),
  ]);
  expect(whats()).toEqual(['exempt 203.0.113.1', 'end 203.0.113.1']);
  expect(looks).toHaveLength(10);
  expect(done[1]!.atMs - looks.at(-1)!).toBeLessThan(5 * MINUTE_MS);
});

it('nothing is changed where nobody answers', async () => {
  facts = { ...usual, blocked: [blocked('203.0.113.1', { trusted: false })] };
  const { outcome } = await environment.end(await start());
  expect([outcome, done]).toEqual(['REJECTED', []]);
});

it('a store that is too large is said to people also where nobody is refused', async () => {
  facts = { ...usual, ...well, store: { keys: 9, tooMany: true }, storeDetail: '9 keys; 5 at most' };
  const { outcome } = await environment.end(await start());
  expect([outcome, told.map(({ text }) => text)]).toEqual([
    'NOTHING_TO_DO',
    [expect.stringMatching(/the store of the rate limiter is too large \(9 keys; 5 at most\)/)],
  ]);
});

it('nobody needs to answer where it went away by itself', async () => {
  facts = { ...usual, blocked: [] };
  const handle = await start();
  await environment.waiting(handle, 'decision');
  facts = { ...facts, ...well };
  const { outcome } = await environment.end(handle);
  expect([outcome, done]).toEqual(['NOTHING_TO_DO', []]);
});

it('people are called where somebody says that it is an attack, and nothing is changed', async () => {
  facts = { ...usual, blocked: [blocked('203.0.113.1', { trusted: false })] };
  for (const input of [{}, { who: '203.0.113.1' }]) {
    const handle = await start(input);
    const { id, choices } = await environment.waiting(handle, 'decision');
    await environment.answer(handle, 'decide', { question: id, choice: choices!.at(-1)!, by: 'ben' });
    const { outcome, summary } = await environment.end(handle);
    expect([outcome, summary]).toEqual(['FAILED', expect.stringContaining('it is an attack')]);
  }
  expect(done).toEqual([]);
  const pages = told.filter(({ text }) => text.includes('Lead it as an incident'));
  expect(pages.map(({ kind }) => kind)).toEqual(['page', 'page']);
  // Nobody hears that it is over.
  expect(told.filter(({ kind }) => kind === 'resolved')).toEqual([]);
});

it('one exception that cannot be ended keeps none of the others, and people are paged once and told what stays', async () => {
  const all = ['203.0.113.1', '203.0.113.2', '203.0.113.3'];
  facts = { ...usual, blocked: all.map((who) => blocked(who)), refusedRequests: 30 };
  failing = ['end 203.0.113.1'];
  const handle = await start();
  const { outcome, summary, timeline } = await environment.end(handle);
  expect(outcome).toBe('PARTIAL');
  expect(summary).toMatch(/Change the rate limits/);
  expect(new Set(whats().filter((what) => what.startsWith('end')))).toEqual(
    new Set(['end 203.0.113.2', 'end 203.0.113.3']),
  );
  const pages = told.filter(({ text }) => text.includes('Restore them by hand'));
  expect(pages).toEqual([
    {
      text: expect.stringMatching(
        /shop: the rate limits are still changed \(end 203\.0\.113\.1 cannot be done\)/,
      ) as string,
      kind: 'page',
    },
  ]);
  expect(timeline.find(({ title }) => title === 'Rate limits are as usual failed')?.detail).toBe(
    'end 203.0.113.1 cannot be done',
  );
});

it('what never became better is taken back after as long as it may take', async () => {
  helps = false;
  const { outcome, summary } = await environment.end(await start({ who: '203.0.113.1' }));
  expect([outcome, summary]).toEqual(['ROLLED_BACK', expect.stringMatching(/Fewer are refused: 40\.0 %/)]);
  expect(whats()).toEqual(['exempt 203.0.113.1', 'end 203.0.113.1']);
  expect(done[1]!.atMs - done[0]!.atMs).toBeGreaterThanOrEqual(MINUTE_MS);
});

const until = async (holds: () => Promise<boolean> | boolean) => {
  while (!(await holds())) await new Promise((again) => setTimeout(again, 20));
};

it('nothing is changed where it went away while another run had the lease', async () => {
  helps = false;
  const first = await start();
  await until(() => whats().length > 0);
  const second = await start();
  await until(async () =>
    (await second.query<RunStatus>('status')).summary.startsWith('waiting for the lease of'),
  );
  facts = { ...usual, ...well };
  expect((await environment.end(second)).outcome).toBe('NOTHING_TO_DO');
  expect((await environment.end(first)).outcome).toBe('SUCCEEDED');
  expect(whats()).toEqual(['exempt 203.0.113.1', 'end 203.0.113.1']);
});

// Last: the lease stays with the run that is stuck.
it('people are called where another run keeps the lease that going back needs', async () => {
  const first = await start();
  const isTold = (text: string) => until(() => told.some((one) => one.text.includes(text)));
  await isTold('allow-list for 203.0.113.1, for');
  const others = [blocked('203.0.113.2')];
  [facts, failing, helps] = [{ ...usual, blocked: others, settleMs: 0 }, ['end 203.0.113.2'], false];
  const second = await start({ who: '203.0.113.2' });
  await environment.waiting(second, 'task');
  const ended = environment.end(first).catch(() => undefined);
  await isTold('another run has the lease of shop/production/application');
  expect(whats()).toEqual(['exempt 203.0.113.1', 'exempt 203.0.113.2']);
  await Promise.allSettled([first.terminate(), second.terminate()]);
  await ended;
});
