import { createLogActivities } from '../../../src/activities/observe/logs';
import { configSchema } from '../../../src/config/schema';
import { serve, type LocalServer } from '../../support/local-server';

const TOKEN = 'tok-of-the-log-store';
const SINCE = '2026-01-01T00:00:00.000Z';
const START = BigInt(Date.parse(SINCE)) * 1_000_000n;

interface Line {
  at: bigint;
  line: string;
  stream: Record<string, string>;
}

/** Keeps lines, and answers ranges of them as Loki does: `start` included, `end` not, the newest first, at most `limit`. */
let lines: Line[];
let trouble: { status: number; type: string; body: string } | undefined;
let asked: URLSearchParams[];
let loki: LocalServer;

beforeAll(async () => {
  loki = await serve((request, response) => {
    const { pathname, searchParams: query } = new URL(request.url!, 'http://loki');
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type }).end(body);
    if (pathname !== '/loki/api/v1/query_range') return answer(404, 'text/plain', 'no such page');
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return answer(401, 'text/plain', 'no org id');
    asked.push(query);
    if (trouble !== undefined) return answer(trouble.status, trouble.type, trouble.body);
    const [from, to] = [BigInt(query.get('start')!), BigInt(query.get('end')!)];
    const found = lines
      .filter(({ at }) => at >= from && at < to)
      .sort((a, b) => (a.at < b.at ? 1 : -1))
      .slice(0, Number(query.get('limit')));
    const result = found.map(({ at, line, stream }) => ({ stream, values: [[String(at), line]] }));
    return answer(
      200,
      'application/json',
      JSON.stringify({ status: 'success', data: { resultType: 'streams', result } }),
    );
  });
});
afterAll(() => loki.stop());
beforeEach(() => {
  process.env['LOKI_TOKEN'] = TOKEN;
  [lines, asked, trouble] = [[], [], undefined];
});

const read = () => {
  const database = {
    url: 'postgresql://x/y',
    identity: { systemIdentifier: '7000000000000000000', database: 'y' },
  };
  const source = {
    url: loki.url,
    query: '{app="shop"}',
    auth: { kind: 'bearer', token: '${env:LOKI_TOKEN}' },
  };
  const production = {
    database,
    observe: { logs: { loki: source, watch: [{ name: 'holds', pattern: 'hold' }] } },
  };
  const parsed = configSchema.parse({ services: { shop: { environments: { production } } } });
  const config = { ...parsed, file: 'runbooks.yaml', directory: process.cwd() };
  return createLogActivities({ config }).readLogs({
    service: 'shop',
    environment: 'production',
    since: SINCE,
  });
};
let count = 0n;
const log = (line: string | object, stream: Record<string, string> = { app: 'shop' }) => {
  const text = typeof line === 'string' ? line : JSON.stringify(line);
  lines.push({ at: START + (count += 1n), line: text, stream });
};

it('reads what was logged since, of every stream, by the level of the line or else of its stream', async () => {
  lines.push({ at: START - 1n, line: 'ERROR of yesterday', stream: {} });
  log({ level: 'error', message: 'hold 17 is lost' });
  log({ level: 'error', message: 'hold 18 is lost' });
  log({ message: 'hold 19 is late' }, { detected_level: 'warn' });
  log({ level: 'info', message: 'all is well' }, { level: 'error' });
  log('cannot write\n    at write (disk.js:4:4)', { level: 'error' });
  log('2026-01-01 WARN slow');
  const found = await read();
  expect(found).toMatchObject({ errors: 3, warnings: 2, cut: false });
  expect(found.topErrors).toEqual([
    { level: 'error', message: 'hold # is lost', count: 2, stack: '' },
    {
      level: 'error',
      message: 'cannot write',
      count: 1,
      stack: 'at write (disk.js:#:#)'.replaceAll('#', '4'),
    },
  ]);
  expect(found.watched).toMatchObject([{ name: 'holds', count: 3 }]);
  expect(asked).toHaveLength(1);
});

it('reads page after page, each line once, also where many are of one nanosecond', async () => {
  for (let i = 0; i < 4_500; i += 1) log({ level: 'error', message: `booking ${i}`, id: i });
  for (let i = 0; i < 1_000; i += 1)
    lines.push({
      at: START + 2_000n,
      line: JSON.stringify({ level: 'warn', message: 'twin', id: i }),
      stream: {},
    });
  expect(await read()).toMatchObject({ errors: 4_500, warnings: 1_000, cut: false });
  expect(asked.length).toBeGreaterThan(2);
});

it('says that there was more than it read', async () => {
  for (let i = 0; i < 2_500; i += 1)
    lines.push({
      at: START + 5n,
      line: JSON.stringify({ level: 'warn', message: 'storm', id: i }),
      stream: {},
    });
  expect(await read()).toMatchObject({ warnings: 2_000, cut: true });
});

it.each([
  [
    400,
    'text/plain',
    'parse error at line 1: token tok-of-the-log-store',
    /refuses the query: parse error.*\*\*\*.*loki\.query/s,
  ],
  [
    200,
    'application/json',
    '{"status":"success","data":{"resultType":"matrix","result":[]}}',
    /gives matrix and no log lines/,
  ],
  [200, 'text/html', '<html>log in</html>', /read the log of shop\/production/],
  [503, 'text/plain', 'busy', /read the log of shop\/production.*503/s],
])('%d %s %s: never an empty log', async (status, type, body, message) => {
  trouble = { status, type, body };
  const refused = read().catch((error: Error) => error);
  expect(((await refused) as Error).message).toMatch(message);
  expect(((await refused) as Error).message).not.toContain(TOKEN);
});

it('has one source', () => {
  const logs = { loki: { url: loki.url, query: '{}' }, command: { run: ['cat', 'log'] } };
  const environment = (given: object) => ({
    services: {
      shop: {
        environments: {
          production: {
            database: { url: 'x', identity: { systemIdentifier: '7000000000000000000', database: 'y' } },
            observe: { logs: given },
          },
        },
      },
    },
  });
  expect(configSchema.safeParse(environment(logs)).error?.message).toContain('one of command, loki, sentry');
  expect(configSchema.safeParse(environment({})).error?.message).toContain('one of command, loki, sentry');
});
