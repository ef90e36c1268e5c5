import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { aiWorkersOf, startAiWorld, TEXTS, type AiWorld } from './ai-world';
import { titles } from './harness';

/** Ways that a run takes where nothing is to be switched, or somebody else does something meanwhile. */
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
const isPaused = () => world.queues.queue(TEXTS).isPaused();
/** The usual configuration with these of its parts as given. */
const configureWith = async (parts: object, more: Record<string, unknown> = {}) => {
  const { directory } = world.driver.stack;
  const files = { provider: join(directory, 'provider'), slow: join(directory, 'slow') };
  const aiWorkers = { ...aiWorkersOf({ ...world, ...files }), ...parts };
  const smoke = { run: ['sh', '-c', `test ! -e ${world.fails}`] };
  await world.restartWorker({
    'environments.production.aiWorkers': aiWorkers,
    'environments.production.smoke': smoke,
    ...more,
  });
};

it('makes a task of workers that are not there, and goes on once they are', async () => {
  const ids = await world.queues.add(TEXTS, 3);
  const handle = await start();
  const task = await world.driver.waiting(handle, 'task');
  expect(task.question).toMatch(/^Nobody works on the queue web_texts of booking\/production\. Start/);
  world.generate();
  await until(async () => (await world.queues.queue(TEXTS).getCompletedCount()) === 3);
  await world.driver.answer(handle, 'done', { task: task.id, by: 'ben' });
  const { outcome, message } = await world.driver.end(handle);
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/^the AI tasks .*end well with openai; 0 tasks put back, 0 of them done/),
  ]);
  expect([world.provider(), world.trials()]).toEqual(['openai', 0]);
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'completed'));
});

it('has a person find out why a measure is bad while no task fails, and verifies it afterwards', async () => {
  const seconds = join(world.driver.stack.directory, 'seconds');
  writeFileSync(seconds, '90');
  const duration = { command: { run: ['cat', seconds] }, unit: 'seconds', warning: 20, critical: 60 };
  await configureWith(
    { measures: ['generation'] },
    { 'environments.production.observe': { measures: { generation: duration } } },
  );
  await world.queues.add(TEXTS, 3);
  world.generate();
  await until(async () => (await world.queues.queue(TEXTS).getCompletedCount()) === 3);
  const handle = await start();
  const task = await world.driver.waiting(handle, 'task');
  expect(task.question).toMatch(/no task has failed through a provider\. Find out why\./);
  await world.driver.answer(handle, 'done', { task: task.id, by: 'ben' });
  await until(async () => (await world.driver.waiting(handle, 'task')).id !== task.id);
  const again = await world.driver.waiting(handle, 'task');
  expect(again.question).toMatch(/^Still not right/);
  writeFileSync(seconds, '2');
  await world.driver.answer(handle, 'done', { task: again.id, by: 'ben' });
  const { outcome, report } = await world.driver.end(handle);
  expect(outcome).toBe('SUCCEEDED');
  expect(titles(report)).toContain('Measures keep their objectives');
});

it('pauses the queue at a rate limit where nothing lets the workers ask less often', async () => {
  await configureWith({ slower: undefined });
  Object.assign(world.openai, { limit: 2, limitMs: 3_000 });
  const ids = await world.queues.add(TEXTS, 6);
  world.generate(TEXTS, 1);
  await until(async () => (await world.queues.queue(TEXTS).getFailedCount()) === 4);
  const handle = await start();
  await until(isPaused);
  Object.assign(world.openai, { limit: 20 });
  const { outcome, report } = await world.driver.end(handle);
  expect([outcome, await isPaused(), world.isSlow(), world.trials()]).toEqual(['SUCCEEDED', false, false, 1]);
  expect(titles(report)).toEqual(
    expect.arrayContaining([`Pause ${TEXTS}`, 'Wait for openai', 'Trial call at openai', `Resume ${TEXTS}`]),
  );
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'completed'));
});

it('resumes what it has paused also where it is cancelled while it waits', async () => {
  world.openai.indicator = 'major';
  world.anthropic.indicator = 'critical';
  const ids = await world.queues.fail(TEXTS, 3, '503 Overloaded');
  const handle = await start();
  await until(isPaused);
  await world.driver.until(handle, (status) => titles(status).includes('Wait for openai'));
  const { outcome, message } = await world.driver.cancel(handle);
  expect([outcome, message]).toEqual(['ROLLED_BACK', expect.not.stringContaining('not undone')]);
  expect([await isPaused(), world.provider(), world.trials()]).toEqual([false, 'openai', 0]);
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'failed'));
});

it('switches back where it is cancelled among tasks that were put back, and says which stays as it is', async () => {
  await configureWith({});
  world.openai.indicator = 'critical';
  await world.queues.fail(TEXTS, 5, '503 Overloaded');
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  world.queues.worker(TEXTS, () => released);
  const handle = await start();
  await until(async () => (await world.queues.queue(TEXTS).getActiveCount()) === 2);
  expect(world.provider()).toBe('anthropic');
  const { outcome, message } = await world.driver.cancel(handle);
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(/changed and not undone: failed tasks were put back$/),
  ]);
  expect(world.provider()).toBe('openai');
  release();
  await until(async () => (await world.queues.queue(TEXTS).getCompletedCount()) === 2);
  expect(await world.queues.queue(TEXTS).getFailedCount()).toBe(3);
});

it('switches to the third one where the two before it are in trouble', async () => {
  const files = { provider: join(world.driver.stack.directory, 'provider'), slow: 'none' };
  const [first, last] = aiWorkersOf({ ...world, ...files, names: ['openai', 'spare'] }).providers;
  const second = { ...last, name: 'second', status: first!.status };
  await configureWith({ providers: [first, second, last] });
  Object.assign(world.openai, { mood: 'down', indicator: 'critical' });
  const ids = await world.queues.add(TEXTS, 4);
  world.generate();
  await until(async () => (await world.queues.queue(TEXTS).getFailedCount()) === 4);
  const { outcome, message } = await run();
  expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('end well with spare; 4 tasks')]);
  expect([world.provider(), world.trials()]).toEqual(['spare', 1]);
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'completed'));
});

it('does not take a switch back where somebody has switched to a third one meanwhile', async () => {
  const provider = join(world.driver.stack.directory, 'provider');
  const { providers } = aiWorkersOf({ ...world, provider, slow: 'none' });
  await configureWith(
    { providers: [...providers, { name: 'third' }] },
    { 'environments.production.smoke': { run: ['sh', '-c', `printf third > ${provider}; exit 1`] } },
  );
  world.openai.indicator = 'critical';
  const ids = await world.queues.fail(TEXTS, 2, '503 Overloaded');
  world.generate();
  const { outcome, report } = await run();
  expect([outcome, world.provider()]).toEqual(['PARTIAL', 'third']);
  expect(titles(report)).toEqual(expect.arrayContaining(['Switch to anthropic', 'Switch back to openai']));
  expect(await world.queues.census(TEXTS)).toEqual(all(ids, 'completed'));
});

it.each([
  [1, 'stays with the provider', 'anthropic', 'of the failed tasks of web_texts 1 failed again'],
  [2, 'switches back', 'openai', 'fail again after they were put back: 2 x outage'],
])('where %s of ten tasks fail again after the first few ended well it %s', async (count, _, name, said) => {
  await configureWith({});
  world.openai.indicator = 'critical';
  const ids = await world.queues.fail(TEXTS, 10, '503 Overloaded');
  const last = await world.redis.client.zrange(`acme-jobs:${TEXTS}:failed`, -count, -1);
  const again = new Set(last);
  // Together: how far the others are by then is no matter.
  let waiting: ((why: Error) => void)[] = [];
  world.queues.worker(
    TEXTS,
    ({ id }) =>
      again.has(id!)
        ? new Promise((_done, reject) => {
            waiting.push(reject);
            if (waiting.length < count) return;
            for (const one of waiting) one(new Error('503 Overloaded'));
            waiting = [];
          })
        : Promise.resolve(),
    10,
  );
  const { outcome, message } = await run();
  expect([outcome, world.provider()]).toEqual(['PARTIAL', name]);
  expect(message).toContain(said);
  const ended = [
    ...all(
      ids.filter((id) => !again.has(id)),
      'completed',
    ),
    ...all(last, 'failed'),
  ].sort();
  await until(async () => JSON.stringify(await world.queues.census(TEXTS)) === JSON.stringify(ended));
});
