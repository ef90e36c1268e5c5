import { writeFileSync } from 'node:fs';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { titles } from './harness';
import { said, startQueuesWorld, type QueuesWorld } from './queues-world';

quietTemporal();
const DRAIN = 'drainQueueBacklog';
const SEARCH = 'recoverSearchIndexing';
let world: QueuesWorld;
beforeAll(async () => {
  world = await startQueuesWorld();
});
beforeEach(() => world.reset());
afterAll(() => world?.stop());

const run = (input?: Record<string, unknown>) => world.driver.run(DRAIN, input);
const all = (ids: string[], state: string) => ids.map((id) => `${id} ${state}`).sort();
const nothing = () => Promise.resolve();
const told = (text: RegExp) => world.driver.stack.inbox.received().filter((one) => text.test(one.text));
const lateOrders = async (count: number) => {
  const ids = await world.queues.add('web_orders', count);
  const { client } = world.redis;
  for (const id of ids) await client.hset(`acme-jobs:web_orders:${id}`, 'timestamp', Date.now() - 60_000);
  return ids;
};
const isPaused = (name: string) => world.queues.queue(name).isPaused();

it('has nothing to do where every queue keeps its objectives', async () => {
  const { outcome, message } = await run();
  expect(outcome).toBe('NOTHING_TO_DO');
  expect(message).toMatch(/^the queues of booking\/production keep their objectives: web_orders: none waits/);
});

it('changes nothing while it only observes or is refused, and says what it would do', async () => {
  await lateOrders(3);
  await world.queues.fail('web_index', 2, 'index is read-only');
  await world.queues.add('web_mails', 1);
  const dump = async () => {
    // A mark that BullMQ's own workers leave for half a minute.
    const keys = (await world.redis.client.keys('*')).filter((key) => !key.endsWith(':stalled-check')).sort();
    return Promise.all(
      keys.map(async (key) => [key, (await world.redis.client.dumpBuffer(key))?.toString('hex')]),
    );
  };
  const before = await dump();
  const observed = await run({ mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions.map(({ action, target }) => `${action}: ${target}`)).toEqual([
    'start more workers: booking/production/queues',
    'wait until no job waits for too long: booking/production/queues',
    'retry failed jobs: booking/production/queues/web_index',
  ]);
  const handle = await world.driver.start(DRAIN, { mode: 'propose' });
  const { id } = await world.driver.waiting(handle, 'approval');
  await world.driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  expect((await world.driver.end(handle)).outcome).toBe('REJECTED');
  expect(await dump()).toEqual(before);
  expect(JSON.stringify(observed.report)).not.toContain('pass-of-the-queues');
});

it('starts workers, holds non-critical queues back meanwhile, and resumes only what it paused', async () => {
  const ids = await lateOrders(30);
  const mails = await world.queues.add('web_mails', 3);
  world.queues.worker('web_orders', () => new Promise((resolve) => setTimeout(resolve, 1_000)), 1);
  await until(async () => (await world.queues.queue('web_orders').getWorkersCount()) === 1);
  const handle = await world.driver.start(DRAIN);
  await until(async () => world.isScaled() && (await isPaused('web_mails')));
  world.queues.worker('web_orders', nothing, 20);
  const ended = await world.driver.end(handle);
  expect([ended.outcome, ended.message]).toEqual([
    'SUCCEEDED',
    'the queues of booking/production keep their delays; 0 failed jobs retried',
  ]);
  expect([await isPaused('web_mails'), world.isScaled()]).toEqual([false, true]);
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'completed'));
  expect(await world.queues.census('web_mails')).toEqual(all(mails, 'wait'));
});

it('says that a queue grows faster than it drains, calls people, and takes back what it did', async () => {
  await lateOrders(5);
  await world.queues.add('web_mails', 2);
  world.queues.worker('web_orders', () => new Promise((resolve) => setTimeout(resolve, 2_000)), 1);
  let growing = true;
  const flood = (async () => {
    for (let count = 0; growing; count += 1) {
      await world.queues.add('web_orders', 5, { prefix: `more-${count}` });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  const ended = await run();
  growing = false;
  await flood;
  expect([ended.outcome, ended.message]).toEqual([
    'ROLLED_BACK',
    expect.stringMatching(/web_orders grows faster than it drains: \d+ came and \d+ ended within/),
  ]);
  expect([world.isScaled(), await isPaused('web_mails')]).toEqual([false, false]);
  expect(told(/queues do not drain \(web_orders grows faster/).length).toBeGreaterThan(0);
});

it('resumes what somebody paused only where a person says that it was a mistake', async () => {
  const ids = await lateOrders(4);
  world.queues.worker('web_orders', nothing);
  await world.queues.queue('web_orders').pause();
  for (const id of ids)
    await world.redis.client.hset(`acme-jobs:web_orders:${id}`, 'timestamp', Date.now() - 60_000);
  const waiting = await world.queues.census('web_orders');
  const asked = await world.driver.start(DRAIN);
  const first = await world.driver.waiting(asked, 'decision');
  expect(first.question).toMatch(/^The queue web_orders is paused, and jobs wait in it/);
  await world.driver.answer(asked, 'decide', { question: first.id, choice: 'leave it paused', by: 'ben' });
  expect(await world.driver.end(asked)).toMatchObject({
    outcome: 'SUCCEEDED',
    message: expect.stringContaining('web_orders stays paused, as decided'),
  });
  expect(await world.queues.census('web_orders')).toEqual(waiting);
  expect(await isPaused('web_orders')).toBe(true);
  expect((await world.driver.agree(await world.driver.start(DRAIN))).outcome).toBe('SUCCEEDED');
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'completed'));
});

it('stops where jobs fail again the same way, and goes on where somebody has mended the cause', async () => {
  const ids = await world.queues.fail('web_orders', 30, 'no such template');
  let mended = false;
  world.queues.worker('web_orders', () =>
    mended ? nothing() : Promise.reject(new Error('no such template')),
  );
  const left = await world.driver.start(DRAIN);
  const first = await world.driver.waiting(left, 'decision');
  expect(first.question).toMatch(/^Of web_orders 2 jobs failed again when tried \(no such template\)/);
  await world.driver.answer(left, 'decide', { question: first.id, choice: 'leave them failed', by: 'ben' });
  expect(await world.driver.end(left)).toMatchObject({
    outcome: 'PARTIAL',
    message: expect.stringContaining('of the failed jobs of web_orders 2 failed again, 28 were not retried'),
  });
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'failed'));
  const again = await world.driver.start(DRAIN);
  const second = await world.driver.waiting(again, 'decision');
  mended = true;
  await world.driver.answer(again, 'decide', { question: second.id, choice: 'retry them', by: 'ben' });
  const ended = await world.driver.end(again);
  expect([ended.outcome, ended.report.facts['jobsDone']]).toEqual(['SUCCEEDED', 30]);
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'completed'));
});

it('says of every job that it was not retried, also where another reason went well', async () => {
  const bad = await world.queues.fail('web_orders', 6, 'no such template', 'bad');
  const good = await world.queues.fail('web_orders', 6, 'connection refused', 'good');
  world.queues.worker('web_orders', ({ id }) =>
    id!.startsWith('bad') ? Promise.reject(new Error('no such template')) : nothing(),
  );
  const handle = await world.driver.start(DRAIN);
  const { id } = await world.driver.waiting(handle, 'decision');
  await world.driver.answer(handle, 'decide', { question: id, choice: 'leave them failed', by: 'ben' });
  expect(await world.driver.end(handle)).toMatchObject({
    outcome: 'PARTIAL',
    message: expect.stringContaining('of the failed jobs of web_orders 2 failed again, 4 were not retried'),
  });
  const states = [...all(bad, 'failed'), ...all(good, 'completed')].sort();
  expect(await world.queues.census('web_orders')).toEqual(states);
});

it('loses and doubles no job when the worker is killed, and Redis as well, in the middle of retrying', async () => {
  const ids = await world.queues.fail('web_orders', 3_000, 'connection refused');
  world.queues.worker('web_orders', nothing, 20);
  const handle = await world.driver.start(DRAIN);
  const left = () => world.redis.client.zcard('acme-jobs:web_orders:failed');
  await until(async () => (await left()) < 2_990);
  await world.worker.kill();
  await world.restartWorker();
  await until(async () => (await left()) < 2_900);
  await world.redis.kill();
  await world.redis.start();
  const { outcome, report } = await world.driver.end(handle);
  expect([outcome, report.facts['jobsRetried'], report.facts['jobsDone']]).toEqual([
    'SUCCEEDED',
    3_000,
    3_000,
  ]);
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'completed'));
});

it('says that Redis has lost its data, and calls people, instead of finding empty queues well', async () => {
  await world.queues.fail('web_orders', 3, 'boom');
  const handle = await world.driver.start(DRAIN, { mode: 'propose' });
  const { id } = await world.driver.waiting(handle, 'approval');
  await world.queues.stop();
  await world.redis.kill();
  await world.redis.start({ empty: true });
  await world.driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  expect(await world.driver.end(handle)).toMatchObject({
    message: expect.stringContaining('Redis has lost what it had'),
  });
  expect(told(/Redis has lost what it had of the queue web_orders/).length).toBeGreaterThan(0);
});

it('undoes and says so where the smoke test fails afterwards', async () => {
  const ids = await lateOrders(2);
  writeFileSync(world.fails, '');
  const handle = await world.driver.start(DRAIN);
  await until(() => world.isScaled());
  world.queues.worker('web_orders', nothing);
  const ended = await world.driver.end(handle);
  expect([ended.outcome, world.isScaled()]).toEqual(['ROLLED_BACK', false]);
  expect(ended.message).toContain(`test ! -e ${world.fails}`);
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'completed'));
});

describe('search indexing', () => {
  const search = (input?: Record<string, unknown>) => world.driver.run(SEARCH, input);
  beforeEach(() => void (world.search.tasks.length = 0));

  it('has nothing to do where the index is up to date', async () => {
    world.search.enqueue('rooms');
    const { outcome, message } = await search();
    expect(outcome).toBe('NOTHING_TO_DO');
    expect(message).toMatch(
      /^the search index of booking\/production is up to date: Meilisearch is available/,
    );
  });

  it('pauses the queue while Meilisearch is down, and retries what failed once it is back', async () => {
    await world.search.down();
    const failed = await world.queues.fail('web_index', 20, 'connect ECONNREFUSED');
    const observed = await search({ mode: 'observe' });
    expect([observed.outcome, await isPaused('web_index')]).toEqual(['OBSERVED', false]);
    const handle = await world.driver.start(SEARCH);
    await until(() => isPaused('web_index'));
    const waiting = await world.queues.add('web_index', 5);
    world.queues.worker('web_index', async () => void world.search.enqueue('rooms'));
    await until(() => told(/Meilisearch does not answer/).length > 0);
    await world.restartWorker();
    expect(await isPaused('web_index')).toBe(true);
    await world.search.up();
    const ended = await world.driver.end(handle);
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      'the search index of booking/production is up to date; 20 failed jobs retried',
    ]);
    expect(await world.queues.census('web_index')).toEqual(all([...failed, ...waiting], 'completed'));
    expect(world.search.tasks).toHaveLength(25);
    expect(titles(ended.report)).toEqual(
      expect.arrayContaining(['Pause web_index', 'Wait for Meilisearch', 'Resume web_index']),
    );
    expect(said(ended, 'Wait for Meilisearch')).toBe('Meilisearch is available');
  });

  const refusal = { code: 'missing_document_id', message: 'Document doesn’t have a `id` attribute' };

  it('makes a task of what Meilisearch refused before it went down, and fails where it refuses more', async () => {
    world.search.enqueue('rooms', refusal);
    await world.search.down();
    await world.queues.fail('web_index', 2, 'connect ECONNREFUSED');
    const handle = await world.driver.start(SEARCH);
    await until(() => isPaused('web_index'));
    await world.search.up();
    const first = await world.driver.waiting(handle, 'task');
    world.search.enqueue('rooms', { ...refusal, code: 'index_not_found' });
    await world.driver.answer(handle, 'done', { task: first.id, by: 'ben' });
    await until(async () => (await world.driver.waiting(handle, 'task')).id !== first.id);
    const again = await world.driver.waiting(handle, 'task');
    expect(again.question).toMatch(/has refused 2 tasks .*index_not_found/);
    world.queues.worker('web_index', async () => void world.search.enqueue('rooms', refusal));
    await world.driver.answer(handle, 'done', { task: again.id, by: 'ben' });
    expect(await world.driver.end(handle)).toMatchObject({
      outcome: 'PARTIAL',
      message: expect.stringMatching(/Meilisearch has refused nothing more: .*4 failed/),
    });
  });

  it('pauses nothing where it is refused', async () => {
    await world.search.down();
    const handle = await world.driver.start(SEARCH, { mode: 'propose' });
    const { id } = await world.driver.waiting(handle, 'approval');
    await world.driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await world.driver.end(handle)).outcome).toBe('REJECTED');
    expect(await isPaused('web_index')).toBe(false);
    await world.search.up();
  });

  it('makes a task of what Meilisearch refuses, with the reasons', async () => {
    world.search.enqueue('rooms', refusal);
    const handle = await world.driver.start(SEARCH);
    const task = await world.driver.waiting(handle, 'task');
    expect(task.question).toMatch(/has refused 1 task within the last hour: rooms: missing_document_id/);
    await world.driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'sent again' });
    expect((await world.driver.end(handle)).outcome).toBe('SUCCEEDED');
  });
});

it('does nothing where nobody approves in time', async () => {
  const ids = await world.queues.fail('web_orders', 2, 'boom');
  await world.restartWorker({ 'approval.expiresAfterMinutes': 0.02 });
  expect((await run({ mode: 'propose' })).outcome).toBe('REJECTED');
  expect(await world.queues.census('web_orders')).toEqual(all(ids, 'failed'));
  await world.search.down();
  expect((await world.driver.run(SEARCH, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(await isPaused('web_index')).toBe(false);
});
