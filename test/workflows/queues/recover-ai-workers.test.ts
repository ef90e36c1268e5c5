import type { TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { failure, fakeWorkers, SERVICES, startFakeWorkers, type FakeWorkers } from './ai-workers-world';

quietTemporal();
let world: FakeWorkers;
let environment: TestEnvironment;
let service = '';
let count = 0;
beforeAll(async () => {
  environment = await startFakeWorkers(() => world);
});
beforeEach(() => {
  world = fakeWorkers();
  service = SERVICES[(count += 1)]!;
});
afterAll(() => environment?.stop());

const given = (more: Partial<FakeWorkers>) => Object.assign(world, more);
const start = (more = {}) =>
  environment.start('recoverAiWorkers', { service, environment: 'production', ...more });
const run = async () => environment.end(await start());
const limited = { failures: [failure({ kind: 'rateLimit', lately: 5, open: 5 })] };
const wellSwitched = ['try two', 'switch to two'];
const back = 'switch to one, unless to a third one';
/** Rounds that put all back; the last one finds no more. */
const all = ['put back 2', 'put back 5', 'put back 5'];

it('tries the other provider once, switches, and puts a few back before the others', async () => {
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual([
    'SUCCEEDED',
    `the AI tasks of ${service}/production end well with two; 5 tasks put back, 5 of them done`,
  ]);
  expect(world.did).toEqual([...wellSwitched, ...all]);
  const [first, later] = world.until;
  expect([later! > first!, world.wellSince]).toEqual([true, later]);
});

it('switches also where few fail lately, while the provider says that it is in trouble', async () => {
  given({ failures: [failure({ lately: 1, open: 3 })], completed: 50 });
  await run();
  expect(world.did.slice(0, 2)).toEqual(wellSwitched);
});

it('puts no more back than one run may, and says that', async () => {
  given({ maxRetries: 10, open: 25 });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual(['PARTIAL', expect.stringContaining('15 were not put back')]);
  expect(world.did).toEqual([...wellSwitched, 'put back 2', 'put back 10', 'put back 10']);
});

it('makes no second trial call where the first one failed, and waits for the provider that it has', async () => {
  given({ trialOk: false });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual(['SUCCEEDED', expect.stringContaining('end well with one')]);
  expect(world.did).toEqual(['try two', 'pause', 'await one', 'resume', ...all]);
  expect(world.said).toContainEqual(expect.stringMatching(/provider is down.*The queue texts is paused/));
});

it.each([
  ['one of the first few', [{ kind: 'outage' as const, count: 1 }], ['put back 2']],
  [
    'more than its share of the others',
    [
      { kind: 'outage' as const, count: 0 },
      { kind: 'outage' as const, count: 3 },
    ],
    ['put back 2', 'put back 20'],
  ],
])('switches back and calls people where %s fails again', async (_, failing, puts) => {
  given({ open: 25, failing });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual(['PARTIAL', expect.stringContaining('fail again after they were put')]);
  expect(world.did).toEqual([...wellSwitched, ...puts, back]);
  expect(world.said).toContainEqual(expect.stringMatching(/tasks of texts fail again after they were put/));
});

it.each([
  [9, 1],
  [20, 2],
])('of %s tasks it goes on where %s fails again, and says so', async (open, count) => {
  given({ open, failing: [0, count].map((one) => ({ kind: 'outage', count: one })) });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual([
    'PARTIAL',
    expect.stringContaining(`of the failed tasks of texts ${count} failed again after they were put back`),
  ]);
  expect(world.did).toEqual([...wellSwitched, 'put back 2', `put back ${open}`, `put back ${open}`]);
});

it('takes tasks that fail again through their own input for no failure of the provider', async () => {
  given({ failing: [{ kind: 'input', count: 2 }] });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual([
    'PARTIAL',
    expect.stringContaining('of the failed tasks of texts 2 failed again through their own input'),
  ]);
  expect(world.current).toBe('two');
});

it.each([
  [
    'what is begun afterwards fails',
    { failuresAfter: [failure({ lately: 2 })] },
    /failed through the provid/,
  ],
  ['tasks wait for too long', { queue: { ...fakeWorkers().queue, delayMs: 90_000, waiting: 3 } }, /3 wait/],
  [
    'a measure stays bad',
    { ai: { measures: ['seconds'] }, measured: { value: 90, ok: false } },
    /Measures keep their objectives: 90 seconds/,
  ],
  ['the smoke test fails', { smoke: false }, /the smoke test failed/],
])('switches back where %s', async (_, more, said) => {
  given(more);
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual(['PARTIAL', expect.stringMatching(said)]);
  expect(world.did).toEqual([...wellSwitched, ...all, back]);
});

it('does not switch to one that is not well, nor for a reason that is not configured', async () => {
  world.providers[1]!.state = 'unwell';
  await run();
  expect(world.did).toEqual(['pause', 'await one', 'try one', 'resume', ...all]);
  given({ ...fakeWorkers(), ai: { switchOn: [] } });
  await run();
  expect(world.did.slice(0, 4)).toEqual(['pause', 'await one', 'try one', 'resume']);
});

it('makes a task of refused credentials, also where another provider is well, and another one until a call is', async () => {
  given({ failures: [failure({ kind: 'credentials', lately: 5, open: 5 })], trialOk: false });
  const handle = await start();
  const task = await environment.waiting(handle, 'task');
  expect([task.question, world.did]).toEqual([
    expect.stringMatching(/^one refuses the credentials of shop-/),
    ['pause'],
  ]);
  await environment.answer(handle, 'done', { task: task.id, by: 'ben' });
  for (;;) {
    const next = await environment.waiting(handle, 'task');
    if (next.id === task.id) continue;
    expect(next.question).toMatch(/does not generate yet: answered\. The queue texts stays paused/);
    expect(world.did).toEqual(['pause', 'try one']);
    await environment.answer(handle, 'done', { task: next.id, by: 'ben' });
    break;
  }
  expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
  expect(world.did).toEqual(['pause', 'try one', 'resume', ...all]);
});

it.each([
  [
    'nothing tells that it is',
    'unknown',
    /^one of shop-\d+\/production does not generate yet, as far as anybody/,
  ],
  ['it still is not', 'unwell', /^one is still not well \(says unwell\) after 10 min/],
] as const)(
  'stays paused where a provider is waited for and %s, until people say so',
  async (_, mended, asked) => {
    given({ ai: { switchOn: [] }, mended });
    for (const one of world.providers) one.hasTrial = false;
    const handle = await start();
    const task = await environment.waiting(handle, 'task');
    expect([task.question, world.did]).toEqual([expect.stringMatching(asked), ['pause', 'await one']]);
    if (mended === 'unknown') await environment.answer(handle, 'done', { task: task.id, by: 'ben' });
    else world.mendedAfter = 4;
    expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
    expect(world.did).toEqual(expect.arrayContaining(['resume', 'put back 5']));
    if (mended === 'unwell') expect(world.did.slice(1, 6)).toEqual(Array(5).fill('await one'));
  },
);

it('makes a task of refused credentials also where more fail through something else', async () => {
  const credentials = failure({ kind: 'credentials', lately: 3, open: 3 });
  given({ failures: [failure({ lately: 5, open: 5 }), credentials] });
  const handle = await start();
  const { id, question } = await environment.waiting(handle, 'task');
  expect([question, world.did]).toEqual([expect.stringMatching(/^one refuses the cred/), ['pause']]);
  await environment.answer(handle, 'done', { task: id, by: 'ben' });
  expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
});

it('resumes what it has paused where it is cancelled', async () => {
  given({ ai: { switchOn: [] }, mended: 'unknown' });
  for (const one of world.providers) one.hasTrial = false;
  const handle = await start();
  await environment.waiting(handle, 'task');
  await handle.cancel();
  const { outcome } = await environment.end(handle);
  expect([outcome, world.did]).toEqual(['ROLLED_BACK', ['pause', 'await one', 'resume']]);
});

it('has workers ask less often for a while, and as before in the end, also where it fails', async () => {
  given(limited);
  expect((await run()).outcome).toBe('SUCCEEDED');
  expect(world.did).toEqual(['slower', 'await one', ...all, 'as before']);
  given({ ...fakeWorkers(), ...limited, failing: [{ kind: 'rateLimit', count: 1 }] });
  expect((await run()).outcome).toBe('PARTIAL');
  expect(world.did).toEqual(['slower', 'await one', 'put back 2', 'as before']);
});

it('pauses at a rate limit where nothing lets workers ask less often, and calls nobody for that', async () => {
  given({ ...limited, ai: { canSlow: false, retryAfterMs: 300_000 } });
  expect((await run()).outcome).toBe('SUCCEEDED');
  expect(world.did).toEqual(['pause', 'await one', 'try one', 'resume', ...all]);
  expect(world.said.filter((text) => text.includes('paused until it is well'))).toEqual([]);
  expect(world.aloneMs).toBeGreaterThan(240_000);
});

it('asks about a queue that somebody paused, and resumes it only once tasks can end well', async () => {
  world.queue = { ...world.queue, paused: true, waiting: 2 };
  const handle = await start();
  const { id } = await environment.waiting(handle, 'decision');
  expect(world.did).toEqual([]);
  await environment.answer(handle, 'decide', { question: id, choice: 'resume it', by: 'ben' });
  await environment.end(handle);
  expect(world.did.slice(0, 4)).toEqual([...wellSwitched, 'resume theirs', 'put back 2']);
});

it('says that jobs are lost, at once', async () => {
  given({ lost: true });
  expect((await run()).outcome).not.toBe('SUCCEEDED');
  expect(world.said).toContainEqual(expect.stringMatching(/Redis has lost jobs/));
  expect(world.did.at(-1)).toBe(back);
});

it('does what is so when it is approved, and has that approved', async () => {
  const handle = await start({ mode: 'propose' });
  const first = await environment.waiting(handle, 'approval');
  world.providers[1]!.state = 'unwell';
  await environment.answer(handle, 'approve', { plan: first.id, by: 'ben' });
  for (;;) {
    const next = await environment.waiting(handle, 'approval');
    if (next.id === first.id) continue;
    await environment.answer(handle, 'approve', { plan: next.id, by: 'ben' });
    break;
  }
  const { outcome } = await environment.end(handle);
  expect([outcome, world.did.slice(0, 2)]).toEqual(['SUCCEEDED', ['pause', 'await one']]);
});

it.each([
  ['nothing has failed', { failures: [] }],
  ['it was so and is over', { failures: [failure({ lately: 5 })], completedAfter: 2 }],
  [
    'a measure is not known, which is no symptom',
    { failures: [], ai: { measures: ['seconds'] }, measured: { value: null, ok: false } },
  ],
  ['so few failed that the objective holds', { failures: [failure({ lately: 1 })], completed: 20 }],
])('has nothing to do where %s', async (_, more) => {
  world.providers[0]!.state = 'well';
  given(more);
  expect([(await run()).outcome, world.did]).toEqual(['NOTHING_TO_DO', []]);
});

it('says that it does not know where no task has ended at all', async () => {
  given({ open: 0 });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual(['SUCCEEDED', expect.stringMatching(/whether they do is not known/)]);
});
