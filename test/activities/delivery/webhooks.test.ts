import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { z } from 'zod';
import { createDeliveryActivities } from '../../../src/activities/delivery';
import { webhooksSchema } from '../../../src/activities/delivery/settings';
import type { LoadedConfig } from '../../../src/config/load';
import { failureOf, runActivity, startTestPostgres } from '../../support/postgres';

/** Another application than the sample: other paths, other words, another shape. */
let server: Server;
let base: string;
let asked: string[];
/** Undefined: never. */
let answer: (
  path: string,
) => { status?: number; body: unknown; headers?: Record<string, string> } | undefined;

beforeAll(async () => {
  process.env['HOOKS_TEST_TOKEN'] = 'tok-of-hooks';
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const given = answer(request.url ?? '');
    if (given === undefined) return;
    const { status = 200, body, headers = {} } = given;
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => (asked = []));
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const place = { service: 'shop', environment: 'production' };
const auth = { kind: 'bearer' as const, token: '${env:HOOKS_TEST_TOKEN}' };
function activities(more: Partial<z.input<typeof webhooksSchema>> = {}) {
  const webhooks = webhooksSchema.parse({
    deliveries: {
      url: `${base}/hooks/attempts`,
      auth,
      query: { page: '{cursor}' },
      list: 'data.items',
      next: 'data.iterator',
      item: {
        id: 'uid',
        state: 'phase',
        attempts: 'tries.count',
        endpoint: 'to.id',
        url: 'to.url',
        error: 'tries.problem',
        status: 'tries.code',
        dueAt: 'tries.next',
      },
    },
    delivery: {
      url: `${base}/hooks/attempts/{delivery}`,
      auth,
      state: 'phase',
      attempts: 'tries.count',
      error: 'why',
    },
    probe: { method: 'POST', url: `${base}/hooks/{endpoint}/ping`, auth, status: 'code', error: 'why' },
    states: { waiting: ['new'], failed: ['again'], succeeded: ['ok'], terminal: ['dead'] },
    run: { method: 'POST', url: `${base}/hooks/flush`, auth },
    ...more,
  });
  const config = {
    directory: '/',
    services: { shop: { environments: { production: { webhooks } } } },
  } as unknown as LoadedConfig;
  return createDeliveryActivities({ config });
}
const item = (uid: string | number, phase = 'again', more: object = {}) => ({
  uid,
  phase,
  to: { id: 7, url: 'https://listen.example/hook?key=very-secret' },
  tries: { count: 2, problem: 'HTTP 500', code: 500, next: '2026-11-22T10:00:00+01:00', ...more },
});
const page = (items: unknown[], iterator: string | null = null) => ({ data: { items, iterator } });
const list = (items: unknown[]) => () => ({ body: page(items) });
const read = (more: Partial<z.input<typeof webhooksSchema>> = {}) =>
  runActivity(activities(more).readWebhooks, place);
const follow = (ids: string[], more: Partial<z.input<typeof webhooksSchema>> = {}) =>
  runActivity(activities(more).followWebhooks, {
    ...place,
    traced: ids.map((id) => ({ id, attempts: 2 })),
  });

test('all pages of another application are read, by its own words, and of an address only the host', async () => {
  answer = (path) =>
    path.endsWith('page=p2')
      ? { body: page([item('b', 'new', { count: 0 }), item(9)]) }
      : { body: page([item('a'), item(9, 'new')], 'p2') };
  const found = await read();
  expect(asked).toEqual(['GET /hooks/attempts?page=', 'GET /hooks/attempts?page=p2']);
  // What has moved to the next page meanwhile counts once.
  expect([found.failed, found.waiting, found.more]).toEqual([2, 1, false]);
  expect(found.deliveries[0]).toEqual({
    id: 'a',
    endpoint: '7',
    target: 'listen.example',
    attempts: 2,
    error: 'HTTP 500',
    status: 500,
    dueAt: '2026-11-22T09:00:00.000Z',
  });
  expect(JSON.stringify(found)).not.toContain('very-secret');
});

test('a list of which only the first page is read says so, and the application that has no other pages is asked once', async () => {
  answer = list([item('a')]);
  const { unconfigured } = await read({
    deliveries: {
      url: `${base}/hooks/attempts`,
      list: 'data.items',
      item: { id: 'uid', state: 'phase', attempts: 'tries.count' },
    },
  });
  expect(asked).toHaveLength(1);
  expect(unconfigured).toContainEqual(
    expect.stringMatching(/^webhooks\.deliveries\.next is not configured: /),
  );
  expect((await read()).unconfigured.join()).not.toContain('deliveries.next');
});

test('one run follows no more than it may, and endless pages end', async () => {
  let pages = 0;
  answer = () => ({ body: page([item(`d${(pages += 1)}`)], `p${pages}`) });
  const found = await read({ maxDeliveries: 3 });
  expect([found.deliveries.length, found.failed, found.more, pages]).toEqual([3, 50, true, 50]);
});

test('what is no longer listed is asked for one by one; what nobody knows is said', async () => {
  answer = (path) => {
    if (path.endsWith('/a')) return { body: { phase: 'ok', tries: { count: 3 } } };
    if (path.endsWith('/b'))
      return { body: { phase: 'dead', tries: { count: 8 }, why: 'token tok-of-hooks' } };
    if (path.endsWith('/c')) return { status: 404, body: '<html>' };
    return { body: page([item('d'), item('x', 'new', { count: 0 })]) };
  };
  const found = await follow(['a', 'b', 'c', 'd']);
  expect(found).toMatchObject({ succeeded: 1, gone: 1, attempts: 7, backlog: 2 });
  expect(found.failed.map(({ id }) => id)).toEqual(['d']);
  // A server that repeats what it was sent.
  expect(found.terminal).toMatchObject([{ id: 'b', attempts: 8, error: 'token ***' }]);
});

test('what may be on a page that was not read is not over', async () => {
  let pages = 0;
  answer = () => ({ body: page([item(`d${(pages += 1)}`)], `p${pages}`) });
  const found = await follow(['z'], { delivery: undefined });
  expect([found.gone, found.failed[0]?.error]).toEqual([0, expect.stringMatching(/too many to read/)]);
});

test.each<[string, () => { status?: number; body: unknown }, RegExp, string]>([
  ['a page to log in', () => ({ body: '<html>' }), /a web page instead of JSON/, 'HttpFailed'],
  [
    'a wrong token',
    () => ({ status: 401, body: {} }),
    /does not accept the credentials \(401\)/,
    'HttpFailed',
  ],
  ['another shape', () => ({ body: { rows: [] } }), /no list at "data\.items"/, 'WebhooksUnknown'],
  [
    'a word that nobody knows',
    list([item('a', 'odd')]),
    /has the state "odd"; .*webhooks\.states/,
    'WebhooksUnknown',
  ],
  ['an ID that JSON rounds', list([item(2 ** 60)]), /have it sent as text/, 'WebhooksUnknown'],
  ['no ID', list([{ phase: 'again' }]), /no ID at "uid"/, 'WebhooksUnknown'],
  [
    'attempts that are none',
    list([item('a', 'again', { count: '2' })]),
    /no number of attempts/,
    'WebhooksUnknown',
  ],
  [
    'a time without a zone',
    list([item('a', 'again', { next: '2026-11-22 10:00' })]),
    /no time with its/,
    'WebhooksUnknown',
  ],
  ['pages in a circle', () => ({ body: page([], 'p1') }), /round in a circle/, 'WebhooksUnknown'],
])('%s is an error with what to do about it', async (_, given, message, type) => {
  answer = given;
  const failure = await failureOf(read());
  expect([failure.type, failure.message]).toEqual([type, expect.stringMatching(message)]);
  expect(failure.message).not.toContain('tok-of-hooks');
});

test('an application that wants fewer requests is asked again, and not before it wants that', async () => {
  answer = () => ({ status: 429, body: {}, headers: { 'retry-after': '7' } });
  const failure = await failureOf(read());
  expect(failure).toMatchObject({ nonRetryable: false, nextRetryDelay: 7_000 });
});

test.each([
  [
    { code: 204, why: null },
    { ok: true, status: 204, error: null },
  ],
  [
    { code: 302, why: null },
    { ok: false, status: 302, error: null },
  ],
  [
    { code: null, why: 'no route' },
    { ok: false, status: null, error: 'no route' },
  ],
  [
    { code: null, why: null },
    { ok: false, status: null, error: null },
  ],
])('a probe that says %j', async (body, wanted) => {
  answer = () => ({ body });
  expect(await runActivity(activities().probeWebhookEndpoint, { ...place, endpoint: '7' })).toEqual(wanted);
  expect(asked).toEqual(['POST /hooks/7/ping']);
});

test('of an endpoint that nobody knows any more the probe says just that', async () => {
  answer = () => ({ status: 404, body: {} });
  expect(await runActivity(activities().probeWebhookEndpoint, { ...place, endpoint: '7' })).toEqual({
    ok: false,
    status: null,
    error: 'the application knows no such endpoint',
  });
});

test('of an address in what was said only the host is shown too', async () => {
  const problem = 'request to https://listen.example/hook?key=very-secret failed: ECONNREFUSED';
  answer = list([item('a', 'again', { problem })]);
  expect((await read()).deliveries[0]?.error).toBe('request to listen.example failed: ECONNREFUSED');
});

test('a probe that says nothing is an error', async () => {
  answer = () => ({ body: {} });
  const failure = await failureOf(
    runActivity(activities().probeWebhookEndpoint, { ...place, endpoint: '7' }),
  );
  expect(failure.message).toMatch(/neither "code" nor "why"/);
});

test('a round that is not over in time counts as one, and is not sent again', async () => {
  const pg = await startTestPostgres();
  try {
    const db = await pg.fresh();
    const webhooks = webhooksSchema.parse({
      deliveries: { url: `${base}/list` },
      run: { method: 'POST', url: `${base}/slow`, timeoutMs: 200 },
    });
    Object.assign(db.deps.config.services['shop']!.environments['production']!, { webhooks });
    answer = () => undefined;
    const fence = { target: 'shop/production', token: 1 };
    const { runWebhookDeliveries } = createDeliveryActivities(db.deps);
    expect(await runActivity(runWebhookDeliveries, { ...db.place, fence })).toMatchObject({
      ran: true,
      detail: expect.stringMatching(
        /^Could not run the deliveries of webhooks of shop\/production: no answer from .* within 0\.2 s$/,
      ) as string,
    });
    expect(asked).toEqual(['POST /slow']);
    // Nor is one that was taken on, and of which nobody says within its time that it is over.
    answer = () => ({ status: 202, body: {}, headers: { location: '/rounds/1' } });
    webhooks.run.poll = { everySeconds: 0.01, forSeconds: 0.05, done: [], failed: [] };
    expect(await runActivity(runWebhookDeliveries, { ...db.place, fence })).toMatchObject({
      ran: true,
      detail: expect.stringMatching(/accepted it \(202\), and it was not over within 0\.05 s/) as string,
    });
    answer = () => ({ status: 503, body: {} });
    expect(await failureOf(runActivity(runWebhookDeliveries, { ...db.place, fence }))).toMatchObject({
      type: 'HttpFailed',
      nonRetryable: false,
    });
  } finally {
    await pg.stop();
  }
});
