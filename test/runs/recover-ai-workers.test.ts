import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { aiWorkersOf, queuesOf, startAiWorld, TEXTS, type AiWorld } from './ai-world';
import { historyOf, titles } from './harness';
import { keepHistory } from './keep-history';

quietTemporal();
const RUNBOOK = 'recoverAiWorkers';
let world: AiWorld;
beforeAll(async () => {
  world = await startAiWorld();
});
beforeEach(() => world.reset());
afterAll(() => world?.stop());

const run = (input?: Record<string, unknown>) => world.driver.run(RUNBOOK, input);
const start = (input?: Record<string, unknown>) => world.driver.start(RUNBOOK, input);
const all = (ids: string[], state: string) => ids.map((id) => `${id} ${state}`).sort();
const failedOnes = () => world.queues.queue(TEXTS).getFailedCount();
const isPaused = () => world.queues.queue(TEXTS).isPaused();
const told = (text: RegExp) => world.driver.stack.inbox.received().filter((one) => text.test(one.text));
/** Of each task, how often a text for it was made. */
const made = () =>
  [world.openai, world.anthropic]
    .flatMap(({ asked }) => asked)
    .filter(({ prompt, status }) => status === 200 && prompt !== 'ping')
    .map(({ prompt }) => prompt)
    .sort();
/** Has workers ask the provider as it is, until all tasks have failed. */
async function failTasks(count: number, prefix = 'text'): Promise<string[]> {
  const ids = await world.queues.add(TEXTS, count, { prefix });
  world.generate();
  await until(async () => (await failedOnes()) >= count);
  return ids;
}

it('has nothing to do where tasks end well, and says what nobody looks at', async () => {
  await world.queues.add(TEXTS, 3);
  world.generate();
  await until(async () => (await world.queues.queue(TEXTS).getCompletedCount()) === 3);
  const { outcome, message } = await run();
  expect([outcome, message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(/^the AI tasks of booking\/production end well: openai generates; openai well/),
  ]);
  expect(message).toContain('aiWorkers.measures names none');
  expect(world.trials()).toBe(0);
});

it('changes nothing and pays for nothing while it observes, is refused, or nobody approves', async () => {
  world.openai.mood = 'down';
  world.openai.indicator = 'critical';
  const ids = await failTasks(3);
  const dump = async () => {
    const keys = (await world.redis.client.keys('*')).filter((key) => !key.includes('stalled')).sort();
    return Promise.all(
      keys.map(async (key) => [key, (await world.redis.client.dumpBuffer(key))?.toString('hex')]),
    );
  };
  await world.queues.stop();
  const before = await dump();
  const observed = await run({ mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions.map(({ action }) => action)).toEqual([
    'one trial call, which costs money',
    'switch to anthropic',
    'where the trial call fails: pause until openai is well, call people, and wait',
    'put back what failed through the provider, also what fails until it is over',
    'wait until no task waits for too long',
  ]);
  const handle = await start({ mode: 'propose' });
  const { id } = await world.driver.waiting(handle, 'approval');
  await world.driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  const refused = await world.driver.end(handle);
  expect([refused.outcome, await dump()]).toEqual(['REJECTED', before]);
  expect([world.provider(), world.trials(), ids.length]).toEqual(['openai', 0, 3]);
  for (const { handle: one } of [observed, refused])
    expect(await historyOf(one)).not.toMatch(/sk-key-of|sk-ant-key|pass-of-the-texts/);
});

it('tries the other provider once, switches, and puts back what failed through the first, but no bad input', async () => {
  world.openai.maxPromptChars = 50;
  await world.queues.queue(TEXTS).add('do', { prompt: 'x'.repeat(60) }, { jobId: 'too-long' });
  world.generate();
  await until(async () => (await failedOnes()) === 1);
  world.openai.mood = 'hangs';
  world.openai.indicator = 'major';
  const ids = await world.queues.add(TEXTS, 9);
  await until(async () => (await failedOnes()) === 10);
  const handle = await start({ mode: 'propose' });
  const ended = await world.driver.agree(handle);
  expect([ended.outcome, ended.message]).toEqual([
    'SUCCEEDED',
    'the AI tasks of booking/production end well with anthropic; 9 tasks put back, 9 of them done; 1 task failed through their own input, and are left alone',
  ]);
  expect(titles(ended.report)).toEqual(
    expect.arrayContaining(['Trial call at anthropic', 'Switch to anthropic', 'Put a few tasks back']),
  );
  expect([world.provider(), world.trials(), made()]).toEqual(['anthropic', 1, [...ids].sort()]);
  expect(await world.queues.census(TEXTS)).toEqual([...all(ids, 'completed'), 'too-long failed'].sort());
  expect(await historyOf(handle)).not.toMatch(/sk-key-of|sk-ant-key|pass-of-the-texts/);
  await keepHistory(handle, 'recover-ai-workers');
  const again = await run();
  expect([again.outcome, made()]).toEqual(['NOTHING_TO_DO', [...ids].sort()]);
});

it('pauses the queue and calls people where no provider is well, and goes on by itself, also with another worker', async () => {
  world.openai.mood = 'overloaded';
  world.openai.indicator = 'major';
  world.anthropic.indicator = 'critical';
  const ids = await failTasks(4);
  const handle = await start();
  await until(isPaused);
  const waiting = await world.queues.add(TEXTS, 3, { prefix: 'more' });
  await until(() => told(/provider is down or overloaded .*help\.openai\.example/).length > 0);
  await world.restartWorker();
  expect(await isPaused()).toBe(true);
  world.openai.mood = 'well';
  world.openai.indicator = 'none';
  const { outcome, message } = await world.driver.end(handle);
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    'the AI tasks of booking/production end well with openai; 4 tasks put back, 4 of them done',
  ]);
  expect([await isPaused(), world.trials(), world.provider()]).toEqual([false, 1, 'openai']);
  expect(await world.queues.census(TEXTS)).toEqual(all([...ids, ...waiting], 'completed'));
  expect(made()).toEqual([...ids, ...waiting].sort());
});

it('does not switch where the trial call fails, and asks a person where nothing else tells that it is well', async () => {
  world.openai.mood = 'down';
  world.openai.indicator = 'critical';
  world.anthropic.mood = 'overloaded';
  const ids = await failTasks(3);
  const handle = await start();
  await until(isPaused);
  expect([world.provider(), world.trials()]).toEqual(['openai', 1]);
  world.openai.mood = 'well';
  world.openai.indicator = 'none';
  const { outcome, report } = await world.driver.end(handle);
  expect([outcome, world.provider(), world.trials(), await isPaused()]).toEqual([
    'SUCCEEDED',
    'openai',
    1,
    false,
  ]);
  expect(titles(report)).not.toContain('Switch to anthropic');
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'completed'));
});

it('has workers ask less often at a rate limit, leaves the provider alone, and lets them go on as before', async () => {
  Object.assign(world.openai, { limit: 2, limitMs: 3_000 });
  const ids = await world.queues.add(TEXTS, 8);
  world.generate(TEXTS, 1);
  await until(async () => (await failedOnes()) === 6);
  const handle = await start();
  await until(() => world.isSlow());
  Object.assign(world.openai, { limit: 20 });
  const { outcome, report } = await world.driver.end(handle);
  expect([outcome, world.isSlow(), world.provider()]).toEqual(['SUCCEEDED', false, 'openai']);
  expect(titles(report)).toEqual(
    expect.arrayContaining(['Leave openai alone', 'Tasks end well', 'As often as before']),
  );
  expect([made(), world.trials()]).toEqual([[...ids].sort(), 0]);
});

it('makes a task of refused credentials, and switches to nobody', async () => {
  world.openai.key = 'sk-another-one';
  const ids = await failTasks(3);
  const handle = await start();
  const task = await world.driver.waiting(handle, 'task');
  expect(task.question).toMatch(/^openai refuses the credentials of booking\/production/);
  expect([await isPaused(), world.provider(), world.trials()]).toEqual([true, 'openai', 0]);
  world.openai.key = process.env['AI_RUN_OPENAI']!;
  await world.driver.answer(handle, 'done', { task: task.id, by: 'ben' });
  const { outcome } = await world.driver.end(handle);
  expect([outcome, world.provider(), world.trials(), made()]).toEqual(['SUCCEEDED', 'openai', 1, ids]);
});

it('switches back and calls people where tasks fail again, and never puts those back a second time', async () => {
  world.openai.mood = 'down';
  world.openai.indicator = 'critical';
  const ids = await failTasks(6);
  // The trial call is well, and nothing after it.
  Object.assign(world.anthropic, { limit: 1, limitMs: 600_000 });
  const { outcome, message } = await run();
  expect([outcome, world.provider()]).toEqual(['PARTIAL', 'openai']);
  expect(message).toContain('fail again after they were put back: 2 x rateLimit');
  expect(told(/fail again after they were put back/).length).toBeGreaterThan(0);
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'failed'));
  Object.assign(world.anthropic, { limit: Infinity });
  const second = await run();
  expect([second.outcome, second.message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(
      /4 tasks put back, 4 of them done; 2 tasks failed again after they were put back once/,
    ),
  ]);
  expect(made()).toHaveLength(4);
  expect((await world.queues.census(TEXTS)).filter((one) => one.endsWith('failed'))).toHaveLength(2);
});

it('switches back where the smoke test fails afterwards', async () => {
  world.openai.mood = 'down';
  world.openai.indicator = 'critical';
  const ids = await failTasks(2);
  writeFileSync(world.fails, '');
  const { outcome, message } = await run();
  expect([outcome, message, world.provider()]).toEqual([
    'PARTIAL',
    expect.stringContaining(`test ! -e ${world.fails}`),
    'openai',
  ]);
  expect(made()).toEqual(ids);
});

it('loses and doubles no task when the worker is killed in the middle of putting them back', async () => {
  world.openai.indicator = 'critical';
  const ids = await world.queues.fail(TEXTS, 1_500, '503 {"error":{"type":"server_error"}}');
  world.generate(TEXTS, 20);
  const handle = await start();
  await until(async () => (await failedOnes()) < 1_400);
  await world.worker.kill();
  expect(world.provider()).toBe('anthropic');
  await world.restartWorker();
  const { outcome, message, report } = await world.driver.end(handle);
  expect([outcome, message, report.facts['tasksDone']]).toEqual([
    'SUCCEEDED',
    expect.stringContaining('1500 tasks put back, 1500 of them done'),
    1_500,
  ]);
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'completed'));
  expect(made()).toEqual([...ids].sort());
  expect(world.trials()).toBe(1);
});

it('leaves a queue paused that somebody paused on purpose', async () => {
  await world.queues.fail(TEXTS, 2, '503 Overloaded');
  await world.queues.queue(TEXTS).pause();
  const handle = await start();
  const { id } = await world.driver.waiting(handle, 'decision');
  await world.driver.answer(handle, 'decide', { question: id, choice: 'leave it paused', by: 'ben' });
  expect((await world.driver.end(handle)).outcome).toBe('REJECTED');
  expect([await isPaused(), await failedOnes()]).toEqual([true, 2]);
});

it('works where everything has another name, by configuration alone, and does nothing where nobody approves in time', async () => {
  const { directory } = world.driver.stack;
  const [provider, slow] = [join(directory, 'provider'), join(directory, 'slow')];
  const renamed = { names: ['house', 'spare'] as [string, string], queue: 'prose', provider, slow };
  writeFileSync(provider, 'house');
  await world.restartWorker({
    'environments.production.queues': queuesOf('acme-jobs', 'prose'),
    'environments.production.aiWorkers': aiWorkersOf({ ...world, ...renamed }),
  });
  world.openai.mood = 'down';
  world.openai.indicator = 'critical';
  const ids = await world.queues.add('prose', 3);
  world.generate('prose');
  await until(async () => (await world.queues.queue('prose').getFailedCount()) === 3);
  const { outcome, message } = await run();
  expect([outcome, world.provider()]).toEqual(['SUCCEEDED', 'spare']);
  expect(message).toMatch(/end well with spare; 3 tasks put back/);
  expect(await world.queues.census('prose')).toEqual(all(ids, 'completed'));
  writeFileSync(provider, 'house');
  await world.queues.add('prose', 2, { prefix: 'late' });
  await until(async () => (await world.queues.queue('prose').getFailedCount()) === 2);
  await world.restartWorker({ 'approval.expiresAfterMinutes': 0.02 });
  expect((await run({ mode: 'propose' })).outcome).toBe('REJECTED');
  expect([world.provider(), await world.queues.queue('prose').getFailedCount()]).toEqual(['house', 2]);
});
