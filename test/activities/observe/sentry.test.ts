import { createLogActivities } from '../../../src/activities/observe/logs';
import { nextCursor } from '../../../src/activities/observe/sentry';
import { configSchema } from '../../../src/config/schema';
import {
  PROJECT_ID,
  SENTRY_TOKEN,
  startSentry,
  type SentryEvent,
  type SentrySimulator,
} from '../../simulators/sentry';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const AT = { service: 'shop', environment: 'production', since: new Date(START).toISOString() };

let sentry: SentrySimulator;
beforeAll(async () => {
  sentry = await startSentry();
  process.env['SENTRY_TOKEN_OF_TEST'] = SENTRY_TOKEN;
});
afterAll(() => sentry.stop());
beforeEach(() => sentry.reset());

const activities = (more: object = {}) => {
  const source = {
    url: sentry.url,
    organization: 'acme',
    project: 'shop',
    auth: { kind: 'bearer', token: '${env:SENTRY_TOKEN_OF_TEST}' },
    ...more,
  };
  const database = {
    url: 'postgresql://x/y',
    identity: { systemIdentifier: '7000000000000000000', database: 'y' },
  };
  const production = {
    database,
    observe: { logs: { sentry: source, watch: [{ name: 'holds', pattern: 'hold' }] } },
  };
  const parsed = configSchema.parse({ services: { shop: { environments: { production } } } });
  return createLogActivities({ config: { ...parsed, file: 'runbooks.yaml', directory: process.cwd() } });
};
const happen = (event: Partial<SentryEvent> & { issue: number }, times = 1) => {
  for (let i = 0; i < times; i += 1)
    sentry.events.push({ atMs: START + i, type: 'Error', value: `issue ${event.issue}`, ...event });
};

it('counts what happened since, by kind, with the newest stack trace and the ID of its request', async () => {
  happen({ issue: 1, atMs: START - 1 }, 3);
  happen(
    {
      issue: 1,
      type: 'TypeError',
      value: 'hold 17 of ana@example.com has no slot',
      frames: [
        { function: 'main', filename: 'app.js', lineNo: 1 },
        { function: 'hold', filename: 'store.js', lineNo: 12 },
      ],
      tags: { release: '1.5.0', request_id: 'req-7' },
    },
    4,
  );
  happen({ issue: 2, level: 'fatal', headers: [['X-Request-Id', SENTRY_TOKEN]] }, 5);
  happen({ issue: 3, level: 'warning', value: 'hold is late' }, 2);
  happen({ issue: 4, level: 'info' });
  happen({ issue: 5 });
  sentry.resolved.add(5);
  happen({ issue: 6 });
  sentry.categories.set(6, 'performance');
  expect(await activities().readLogs(AT)).toEqual({
    errors: 9,
    warnings: 2,
    topErrors: [
      { level: 'error', message: 'Error: issue #', count: 5, stack: '' },
      {
        level: 'error',
        message: 'TypeError: hold # of ***@*** has no slot',
        count: 4,
        stack: 'at hold (store.js:12) < at main (app.js:1)',
        requestIds: ['req-7'],
      },
    ],
    watched: [{ name: 'holds', count: 6, top: expect.objectContaining({ count: 4 }) as object }],
    cut: false,
  });
  const { searchParams } = sentry.requests.find(({ pathname }) => pathname.endsWith('/issues/'))!;
  expect(Object.fromEntries(searchParams)).toMatchObject({ sort: 'freq', query: 'is:unresolved' });
});

it('asks for one environment, and for a project by its ID at once', async () => {
  happen({ issue: 1, environment: 'production' });
  happen({ issue: 2, environment: 'staging' });
  const found = await activities({ environment: 'production', project: PROJECT_ID }).readLogs(AT);
  expect(found).toMatchObject({ errors: 1, cut: false });
  expect(sentry.requests.filter(({ pathname }) => pathname.includes('/projects/'))).toEqual([]);
});

it('reads page after page, from where the cursor says, and says that there was more', async () => {
  for (let issue = 1; issue <= 250; issue += 1) happen({ issue, value: `of ${'x'.repeat(issue % 150)}` });
  expect(await activities().readLogs(AT)).toMatchObject({ errors: 250, cut: false });
  expect(sentry.requests.filter(({ pathname }) => pathname.endsWith('/issues/'))).toHaveLength(3);
  for (let issue = 251; issue <= 1_001; issue += 1) happen({ issue });
  expect(await activities().readLogs(AT)).toMatchObject({ errors: 1_000, cut: true });
});

it('is worth reading without the stack traces', async () => {
  happen({ issue: 1 }, 2);
  const path = '/api/0/organizations/acme/issues/1/';
  sentry.trouble = { path, status: 403, type: 'application/json', body: '{"detail":"no"}' };
  expect(await activities().readLogs(AT)).toMatchObject({ errors: 2, topErrors: [{ count: 2, stack: '' }] });
});

it.each([
  [401, 'application/json', '{"detail":"Invalid token"}', /does not accept the credentials/],
  [403, 'application/json', '{"detail":"no"}', /refuses access/],
  [404, 'application/json', '{"detail":"no"}', /nothing there/],
  [429, 'application/json', '{"detail":"slow"}', /fewer requests/],
  [503, 'text/plain', 'busy', /503/],
  [200, 'text/html', '<html>log in</html>', /web page/],
  [200, 'application/json', '{"detail":"well"}', /no list of issues/],
  [200, 'application/json', '[{"id":"7","level":"error"}]', /without its ID or its count/],
])('%d %s %s: never an empty log', async (status, type, body, message) => {
  sentry.trouble = { path: '/api/0/organizations', status, type, body };
  const refused = (await activities()
    .readLogs(AT)
    .catch((error: Error) => error)) as Error;
  expect(refused.message).toMatch(message);
  expect(refused.message).toMatch(/read the log of shop\/production/);
});

it('says what Sentry says of a query, without the token', async () => {
  const refused = (await activities({ query: 'is:' })
    .readLogs(AT)
    .catch((error: Error) => error)) as Error;
  expect(refused.message).toMatch(/refuses the query: .*Empty string after.*\*\*\*.*observe\.logs\.sentry/s);
  expect(refused.message).not.toContain(SENTRY_TOKEN);
});

it.each([
  ['', undefined],
  ['<https://x/?cursor=0:100:0>; rel="next"; results="true"; cursor="0:100:0"', '0:100:0'],
  ['<https://x/?a=1,b>; rel="previous"; results="true"; cursor="1"', undefined],
  [
    '<x>; rel="previous"; results="true"; cursor="1", <x>; rel="next"; results="false"; cursor="2"',
    undefined,
  ],
  ['<x>; rel="previous"; results="false"; cursor="1", <x>; rel="next"; results="true"; cursor="2"', '2'],
])('%s leads on to %s', (link, cursor) => expect(nextCursor(link)).toBe(cursor));
