import { createQueueActivities } from '../../../src/activities/queues';
import { queuesSchema, searchSchema } from '../../../src/activities/queues/settings';
import { startMeilisearch, type Meilisearch } from '../../../examples/simulators/meilisearch';
import { failureOf, runActivity, startTestPostgres, type TestDatabase } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';

const postgres = duringTests(() => startTestPostgres());
const search: Meilisearch = duringTests(() => startMeilisearch());
let db: TestDatabase;
beforeEach(async () => {
  db ??= await postgres.fresh();
  search.tasks.length = 0;
  search.health = 'available';
  configure();
});

function configure(apiKey: string | undefined = search.apiKey): void {
  process.env['SEARCH_TEST_KEY'] = apiKey;
  Object.assign(db.deps.config.services['shop']!.environments['production']!, {
    queues: queuesSchema.parse({ redis: { url: 'redis://nowhere' }, names: [{ name: 'index' }] }),
    search: searchSchema.parse({ queue: 'index', url: search.url, apiKey: '${env:SEARCH_TEST_KEY}' }),
  });
}
const read = () => runActivity(createQueueActivities(db.deps).readSearch, db.place);
const refusal = { code: 'missing_document_id', message: 'no id in {"token":"abcdef0123456789"}' };

it('says what is open and what was refused, and which refusal is the newest', async () => {
  search.enqueue('rooms', refusal);
  search.enqueue('rooms');
  Object.assign(search.enqueue('rooms'), {
    status: 'enqueued',
    enqueuedAt: new Date(Date.now() - 60_000).toISOString(),
    finishedAt: null,
  });
  const { tasks, available } = await read();
  expect([available, tasks]).toEqual([
    true,
    expect.objectContaining({ open: 1, failed: 1, newestFailed: 0 }),
  ]);
  expect(tasks!.oldestMs).toBeGreaterThanOrEqual(60_000);
  expect(tasks!.reasons[0]).toMatch(/^rooms: missing_document_id/);
  search.enqueue('rooms', refusal);
  expect((await read()).tasks).toMatchObject({ failed: 2, newestFailed: 3 });
});

it('a task whose age nobody can tell is no young one', async () => {
  Object.assign(search.enqueue('rooms'), { status: 'enqueued', enqueuedAt: 'lately', finishedAt: null });
  expect(await failureOf(read())).toMatchObject({ type: 'SearchUnknown', nonRetryable: false });
});

it('any word but available is a no, and a key that is refused is shown to nobody', async () => {
  search.health = 'starting';
  expect(await read()).toMatchObject({ available: false, tasks: null });
  search.health = 'available';
  configure('another-key-of-nobody');
  const refused = await failureOf(read());
  expect(refused.type).toBe('AuthenticationFailed');
  expect(refused.message).not.toContain('another-key-of-nobody');
});
