import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startAiProvider, type AiProvider } from '../../simulators/ai-provider';
import { createQueueActivities } from '../../../src/activities/queues';
import { classifierOf, retryAfterIn } from '../../../src/activities/queues/ai/classify';
import { aiWorkersSchema } from '../../../src/activities/queues/ai/schema';
import { queuesSchema } from '../../../src/activities/queues/settings';
import { failureOf, runActivity, startTestPostgres, until, type TestDatabase } from '../../support/postgres';
import { testQueues, type TestQueues } from '../../support/queues';
import { startRedis, type TestRedis } from '../../support/redis';
import { duringTests } from '../../support/stand-in';

const postgres = duringTests(() => startTestPostgres());
const redis: TestRedis = duringTests(() => startRedis('pass-of-the-redis'));
const openai: AiProvider = duringTests(() => startAiProvider('openai', { key: 'sk-key-of-the-test' }));
let db: TestDatabase;
let queues: TestQueues;
let count = 0;
beforeEach(async () => {
  db ??= await postgres.fresh();
  process.env['AI_TEST_REDIS'] = redis.url;
  process.env['AI_TEST_KEY'] = 'sk-key-of-the-test';
  queues = testQueues(redis, `shop-${(count += 1)}`);
  Object.assign(openai, { mood: 'well', indicator: 'none', limit: Infinity });
  openai.forget();
  configure();
});
afterEach(() => queues.stop());

const configure = (more: object = {}, first: object = {}) => {
  const production = db.deps.config.services['shop']!.environments['production']!;
  const section = queuesSchema.parse({
    redis: { url: '${env:AI_TEST_REDIS}' },
    prefix: queues.prefix,
    names: [{ name: 'texts' }],
  });
  const trial = {
    method: 'POST',
    url: `${openai.url}/v1/chat/completions`,
    auth: { kind: 'bearer', token: '${env:AI_TEST_KEY}' },
    body: { model: 'small', messages: [{ role: 'user', content: 'ping' }] },
  };
  const providers = [
    { name: 'openai', status: { url: `${openai.url}/api/v2/status.json` }, trial, ...first },
    { name: 'other' },
  ];
  const current = { command: { run: ['echo', 'openai'] } };
  Object.assign(production, {
    queues: section,
    aiWorkers: aiWorkersSchema.parse({ queue: 'texts', providers, current, ...more }),
  });
};
let activities = 0;
const another = () => ({ activityId: String((activities += 1)) });
const acts = () => createQueueActivities(db.deps);
const fence = { target: 'shop/production/queues', token: 1 };
const look = () => runActivity(acts().readAiWorkers, db.place);
const putBack = (run: string, limit = 1_000, begunUntil = Date.now()) =>
  runActivity(
    acts().putAiTasksBack,
    { ...db.place, queue: 'texts', run, limit, begunUntil, fence },
    another(),
  );
const follow = (run: string) =>
  runActivity(acts().followAiTasks, { ...db.place, queue: 'texts', run, begunUntil: 0 });
const waits = async () => (await queues.census('texts')).filter((one) => one.endsWith('wait')).length;

it.each([
  [
    '429 Rate limit reached on tokens per min: Limit 500, Requested 400. Please try again in 20s.',
    'rateLimit',
  ],
  ['429 {"type":"error","error":{"type":"rate_limit_error","message":"401 of 500 tokens"}}', 'rateLimit'],
  ['429 You exceeded your current quota: insufficient_quota', 'credentials'],
  ['401 Incorrect API key provided', 'credentials'],
  ['529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 'outage'],
  ['Request failed with status code 502', 'outage'],
  ['connect ECONNREFUSED 10.0.0.7:443', 'outage'],
  ['Request timed out.', 'timeout'],
  ['The operation was aborted due to timeout', 'timeout'],
  ['504 Gateway Timeout', 'timeout'],
  ["400 This model's maximum context length is 8192 tokens, you asked for 429 more than 503", 'input'],
  ['400 Output blocked by content filtering policy', 'input'],
  ["Cannot read properties of undefined (reading '500')", 'other'],
  ['', 'other'],
])('takes "%s" for %s', (text, kind) => {
  const config = aiWorkersSchema.parse({ queue: 'q', providers: [{ name: 'one' }] });
  expect(classifierOf(config)(text)).toBe(kind);
});

it('reads how long a provider wants to be left alone, in its units', () => {
  expect(
    ['Retry-After: 30', 'try again in 20s', 'retry_after 1.5 s', 'try again in 350 ms', 'later'].map(
      retryAfterIn,
    ),
  ).toEqual([30_000, 20_000, 1_500, 350, undefined]);
});

it('refuses a switch that cannot be read back, and a pattern that is none', () => {
  const providers = [{ name: 'one' }, { name: 'two' }];
  const change = { change: { command: { run: ['true'] } } };
  const problems = (more: object) =>
    aiWorkersSchema
      .safeParse({ queue: 'q', providers, ...more })
      .error?.issues.map(({ path }) => path.join('.'));
  expect(problems({ switch: change })).toEqual(['switch']);
  expect(problems({ failures: { timeout: '(' } })).toEqual(['failures.timeout']);
  expect(problems({})).toBeUndefined();
});

it('says why tasks failed without their words, and changes nothing by looking', async () => {
  await queues.fail(
    'texts',
    2,
    '429 Rate limit, try again in 40s. token=abcdef123456 of ana@shop.example',
    'a',
  );
  await queues.fail('texts', 1, '400 prompt is too long', 'b');
  await queues.fail('texts', 1, 'boom', 'c');
  // What BullMQ has expire is no doing of ours.
  const keys = async () => (await redis.client.keys('*')).filter((key) => !key.includes('stalled')).sort();
  const before = await keys();
  const found = await look();
  expect(found.failures.map(({ kind, lately, open, again }) => [kind, lately, open, again])).toEqual([
    ['other', 1, 1, 0],
    ['input', 1, 1, 0],
    ['rateLimit', 2, 2, 0],
  ]);
  expect(found).toMatchObject({ retryAfterMs: 40_000, completed: 0, cut: false });
  expect(found.current).toMatchObject({ name: 'openai' });
  expect(JSON.stringify(found)).not.toMatch(/abcdef123456|ana@|pass-of|sk-key/);
  expect([await keys(), openai.asked]).toEqual([before, []]);
});

it.each([
  ['well', 'none', {}, /says "none"/],
  ['unwell', 'major', {}, /says "major"/],
  ['unwell', 'minor', { components: ['API'] }, /API says "degraded_performance"/],
  ['unwell', 'minor', { components: ['API', 'Batch'] }, /^API says "degraded_performance"$/],
  ['well', 'critical', { components: ['Website'] }, /Website says "operational"/],
  ['unknown', 'none', { components: ['API', 'Batch'] }, /no word for Batch/],
  ['unknown', 'none', { field: 'status' }, /no word for its status page/],
  ['unknown', 'none', { url: 'http://127.0.0.1:9/none' }, /no answer from/],
] as const)(
  'takes a status page for %s that says %s, seen as %j',
  async (state, indicator, status, detail) => {
    openai.indicator = indicator;
    await queues.add('texts', 1);
    configure({}, { status: { url: `${openai.url}/api/v2/summary.json`, ...status } });
    const { providers } = await look();
    expect(providers[0]).toMatchObject({ state, detail: expect.stringMatching(detail) });
    expect(providers[1]).toMatchObject({ state: 'unknown', hasStatus: false });
  },
);

it('makes a trial call once, whatever comes of it, and shows no key', async () => {
  const trial = () => runActivity(acts().tryAiProvider, { ...db.place, provider: 'openai' });
  expect(await trial()).toMatchObject({ ok: true });
  openai.mood = 'overloaded';
  const refused = await trial();
  expect(refused).toMatchObject({ ok: false, detail: expect.stringContaining('503') });
  process.env['AI_TEST_KEY'] = 'sk-another-key';
  openai.mood = 'well';
  const denied = await trial();
  expect(denied).toMatchObject({ ok: false, detail: expect.stringContaining('401') });
  expect(openai.asked.map(({ status }) => status)).toEqual([200, 503, 401]);
  expect(JSON.stringify([refused, denied])).not.toMatch(/sk-/);
});

it('puts each task of the provider back once, whichever run it is, and none that fails through itself', async () => {
  const ids = await queues.fail('texts', 8, '503 unavailable', 'down');
  await queues.fail('texts', 2, '400 prompt is too long', 'long');
  await queues.fail('texts', 2, 'boom', 'odd');
  expect(await putBack('run-1', 3)).toEqual({ count: 3, left: 5, again: 0 });
  // An attempt whose answer was lost has done it.
  expect(await putBack('run-1', 3)).toEqual({ count: 3, left: 5, again: 0 });
  expect(await waits()).toBe(3);
  const failing = queues.worker('texts', () => Promise.reject(new Error('503 unavailable')));
  await until(async () => (await waits()) === 0 && (await queues.queue('texts').getActiveCount()) === 0);
  await failing.close();
  expect(await follow('run-1')).toMatchObject({
    done: 0,
    pending: 0,
    failed: [{ kind: 'outage', count: 3 }],
  });
  expect(await putBack('run-2')).toEqual({ count: 5, left: 0, again: 3 });
  expect(await waits()).toBe(5);
  queues.worker('texts', () => Promise.resolve());
  await until(async () => (await follow('run-2')).done === 5);
  expect((await look()).failures.map(({ kind, open, again }) => [kind, open, again])).toEqual(
    expect.arrayContaining([
      ['outage', 0, 3],
      ['input', 2, 0],
      ['other', 2, 0],
    ]),
  );
  expect(ids).toHaveLength(8);
});

it('goes on with what was noted and not put back, and leaves what was begun after the provider was well', async () => {
  await queues.fail('texts', 1, '503 unavailable', 'a');
  const key = `durable-runbooks:${queues.prefix}:texts:put-back`;
  const score = await redis.client.zscore(`${queues.prefix}:texts:failed`, 'a-0');
  await redis.client.hset(key, 'a-0', `${score} run-that-died`);
  const until_ = Date.now();
  await until(() => Date.now() > until_);
  await queues.fail('texts', 1, '503 unavailable', 'late');
  expect(await putBack('run-1', 10, until_)).toEqual({ count: 1, left: 0, again: 0 });
  expect(await queues.census('texts')).toEqual(['a-0 wait', 'late-0 failed']);
  expect(await redis.client.ttl(key)).toBeGreaterThan(14 * 86_400);
});

it('refuses an older lease, a switch that does not take, and one that somebody else has made meanwhile', async () => {
  const change = { change: { command: { run: ['true'] } } };
  configure({ switch: change, settleSeconds: 0.1 });
  const to = (from: string, token = 2) =>
    failureOf(
      runActivity(
        acts().switchAiProvider,
        { ...db.place, from, to: 'other', fence: { ...fence, target: 'of-switches', token } },
        another(),
      ),
    );
  expect(await to('openai')).toMatchObject({ type: 'ProviderNotSwitched', nonRetryable: true });
  expect(await to('openai', 1)).toMatchObject({ type: 'StaleFencingToken' });
  expect(await to('third')).toMatchObject({ type: 'ProviderChanged', nonRetryable: true });
  const back = { from: 'third', to: 'other', leaveThird: true, fence: { ...fence, token: 3 } };
  const left = await runActivity(acts().switchAiProvider, { ...db.place, ...back }, another());
  expect(left.detail).toMatch(/generates with openai: somebody else has switched/);
  configure({ switch: change, current: { command: { run: ['echo', 'nobody'] } } });
  expect(await to('openai')).toMatchObject({ type: 'ProviderUnknown', nonRetryable: false });
  configure({ slower: { apply: { command: { run: ['true'] } }, restore: { command: { run: ['true'] } } } });
  for (const pace of [acts().slowAiWorkers, acts().restoreAiWorkers]) {
    const late = { ...fence, target: 'of-switches', token: 1 };
    const refused = failureOf(runActivity(pace, { ...db.place, fence: late }, another()));
    expect(await refused).toMatchObject({ type: 'StaleFencingToken' });
  }
});

it('waits for a status page until it says that it is well, and takes one in trouble for what its body says', async () => {
  let word = 'major';
  const page: Server = createServer((_, response) =>
    response
      .writeHead(503, { 'content-type': 'application/json' })
      .end(JSON.stringify({ status: { indicator: word } })),
  );
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}/`;
  configure({}, { status: { url } });
  const wait = (untilMs: number) =>
    runActivity(acts().awaitAiProvider, { ...db.place, provider: 'openai', notBeforeMs: 0, untilMs });
  try {
    expect(await wait(0)).toMatchObject({ state: 'unwell' });
    const waiting = wait(Date.now() + 60_000);
    word = 'none';
    expect(await waiting).toMatchObject({ state: 'well' });
  } finally {
    page.close();
  }
});
