import { activityInfo } from '@temporalio/activity';
import type { Delivery, Followed, Probe, WebhookStatus } from '../../../src/activities/delivery/webhooks';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { databaseOfNobody } from '../database-of-nobody';

quietTemporal();
const delivery = (id: string, more: Partial<Delivery> = {}): Delivery => ({
  ...{ id, endpoint: '7', target: 'hooks.shop.example', attempts: 2 },
  ...{ error: 'HTTP 401', status: 401, dueAt: null },
  ...more,
});
const usual: WebhookStatus = {
  ...{
    deliveries: [],
    failed: 0,
    waiting: 0,
    more: false,
    maxRounds: 10,
    roundEveryMs: 1,
    patienceMs: 60_000,
  },
  ...{ maxAttempts: null, signatureHeader: null, canProbe: false, tellsEnds: true, unconfigured: [] },
};
let status: WebhookStatus;
let open: Delivery[];
let terminal: Delivery[];
let succeeded: number;
/** What one round makes of those that are open. */
let round: (count: number) => void;
let rounds: number;
let probe: Probe;
let announced: string[];
/** By the clock of the server, which skips time. */
let dueInMs: number | undefined;

const followed = ({ traced }: { traced: { id: string; attempts: number }[] }): Followed => ({
  ...{ succeeded, terminal, failed: open, gone: 0, backlog: open.length },
  attempts: [...open, ...terminal].reduce(
    (sum, { id, attempts }) => sum + attempts - traced.find((one) => one.id === id)!.attempts,
    0,
  ),
});
/** All that are open are tried. */
const tryAll = (more: Partial<Delivery> = {}) =>
  (open = open.map((one) => ({ ...one, attempts: one.attempts + 1, ...more })));
const takeAll = () => ([succeeded, open] = [succeeded + open.length, []]);

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: {
      services: { shop: { mode: 'auto', environments: { production: { database: databaseOfNobody } } } },
    },
    activities: {
      readWebhooks: async () => {
        const nowMs = activityInfo().currentAttemptScheduledTimestampMs;
        if (dueInMs !== undefined)
          open = open.map((one) => ({ ...one, dueAt: new Date(nowMs + dueInMs!).toISOString() }));
        return { ...status, deliveries: open, failed: open.length };
      },
      followWebhooks: async (input) => followed(input),
      runWebhookDeliveries: async () => {
        round((rounds += 1));
        return { ran: true, detail: 'answered 200', durationMs: 1 };
      },
      probeWebhookEndpoint: async () => probe,
      listChecks: async () => ({ health: 0, errorRate: false, smoke: false }),
      checkHealth: async () => [],
      runServiceCommand: async () => ({ ran: false, detail: '', durationMs: 0 }),
      announce: async ({ text }) => {
        announced.push(text);
        return { told: ['chat'], problems: [] };
      },
    },
  });
});
beforeEach(() => {
  [status, open, terminal, announced] = [usual, [delivery('a')], [], []];
  [succeeded, rounds, dueInMs] = [0, 0, undefined];
  round = () => tryAll();
  probe = { ok: true, status: 204, error: null };
});
afterAll(() => environment?.stop());

const start = () =>
  environment.start('replayWebhookDeliveries', { service: 'shop', environment: 'production' });
const done = async (handle: Awaited<ReturnType<typeof start>>, before = '') => {
  for (;;) {
    const { id, question } = await environment.waiting(handle, 'task');
    if (id === before) continue;
    await environment.answer(handle, 'done', { task: id, by: 'ben' });
    return { id, question };
  }
};

it('whoever says for the third time that it is done has them sent again too', async () => {
  round = (count) => (count > 3 ? takeAll() : tryAll());
  const handle = await start();
  let last = '';
  for (let task = 1; task <= 3; task += 1) last = (await done(handle, last)).id;
  const { outcome, summary } = await environment.end(handle);
  expect([outcome, summary, rounds]).toEqual([
    'SUCCEEDED',
    '1 delivery of shop/production are over: 1 taken, 0 given up',
    4,
  ]);
  await environment.replay(handle);
});

it('what is given up is said before people are asked about the others, and once', async () => {
  open = [delivery('a'), delivery('b')];
  round = (count) => {
    if (count > 2) return takeAll();
    tryAll();
    if (count === 1) terminal = [{ ...open.pop()!, endpoint: '', target: '', error: 'HTTP 410' }];
  };
  const handle = await start();
  await environment.waiting(handle, 'task');
  const said = () => announced.filter((text) => text.includes('will not come any more'));
  expect(said()).toEqual([
    expect.stringMatching(/1 delivery was given up \(HTTP 410\).*hooks\.shop\.example/),
  ]);
  await done(handle);
  expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
  expect(said()).toHaveLength(1);
});

it('where a test event is taken and the delivery is not, twice, people look, and attempts are left', async () => {
  status = { ...usual, canProbe: true };
  round = (count) => (count > 2 ? takeAll() : tryAll());
  const handle = await start();
  const { question } = await done(handle);
  expect(question).toMatch(/HTTP 401, and a test event is taken\): .*Say that it is done/);
  expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
  expect(rounds).toBe(3);
});

it('rounds that send nothing any more after people looked are found out', async () => {
  round = (count) => (count === 1 ? tryAll() : open);
  const handle = await start();
  await done(handle);
  const { outcome, summary } = await environment.end(handle);
  expect([outcome, summary]).toEqual([
    'PARTIAL',
    expect.stringMatching(
      /3 rounds answered well and sent none of 1 delivery; .*whether any of them is due, nobody says/,
    ),
  ]);
});

it('what is due only later is waited for without anybody, and ends the same', async () => {
  dueInMs = 3_600_000;
  round = () => takeAll();
  const handle = await start();
  const { id, question } = await environment.waiting(handle, 'task');
  expect(question).toMatch(/This run goes on by itself 1 min 0 s before that\.$/);
  expect(rounds).toBe(0);
  await environment.answer(handle, 'done', { task: id, by: 'ben' });
  const { outcome } = await environment.end(handle);
  expect([outcome, rounds]).toEqual(['SUCCEEDED', 1]);
});

it('an endpoint that was switched off, so that nothing is open any more, ends its task', async () => {
  status = { ...usual, canProbe: true };
  probe = { ok: false, status: null, error: 'the application knows no such endpoint' };
  const handle = await start();
  const { question } = await environment.waiting(handle, 'task');
  expect(question).toContain('the application knows no such endpoint');
  terminal = [{ ...open.pop()!, error: 'endpoint switched off' }];
  expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
  expect(announced).toContainEqual(expect.stringContaining('endpoint switched off'));
});
