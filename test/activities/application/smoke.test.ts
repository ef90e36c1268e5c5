import { createCommandActivities } from '../../../src/activities/application/commands';
import { longestSmokeMs } from '../../../src/activities/application/smoke';
import { configSchema } from '../../../src/config/schema';
import { serve, type LocalServer } from '../../support/local-server';
import { failureOf, runActivity } from '../../support/postgres';

let servers: LocalServer[];
let asked: string[];
let broken: string;
let silent: string;
beforeAll(async () => {
  const start = (name: string) =>
    serve((request, response) => {
      asked.push(`${name} ${request.method} ${request.url} ${String(request.headers['x-key'])}`);
      // It takes the request, and never answers.
      if (request.url === silent) return;
      response.statusCode = request.url === broken ? 500 : 200;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ ok: true }));
    });
  servers = [await start('usual'), await start('new')];
});
beforeEach(() => {
  asked = [];
  broken = '';
  silent = '';
  process.env['SMOKE_KEY'] = 'a-secret-of-smoke';
  process.env['SMOKE_URL'] = servers[0]!.url;
});
afterAll(() => Promise.all(servers.map((one) => one.stop())));

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};
const flow = (name: string, more: object = {}) => ({
  name,
  operation: {
    url: '${env:SMOKE_URL}/' + name + '?of={service}',
    headers: { 'x-key': '${env:SMOKE_KEY}' },
    success: { field: 'ok', equals: [true] },
    ...more,
  },
});
const parse = (smoke: unknown) =>
  configSchema.safeParse({ services: { shop: { environments: { production: { database, smoke } } } } });
function run(smoke: unknown, url?: string) {
  const config = { ...parse(smoke).data!, file: '/tmp/x.yaml', directory: '/tmp' };
  const { runServiceCommand } = createCommandActivities({ config });
  const input = { service: 'shop', environment: 'production', command: 'smoke' as const };
  return runActivity(runServiceCommand, url === undefined ? input : { ...input, url });
}

it('tries each key flow, in its order', async () => {
  const found = await run({ flows: [flow('quote'), flow('hold', { method: 'POST' })] });
  expect(found).toMatchObject({ ran: true, detail: '2 key flows work: quote, hold' });
  expect(asked).toEqual([
    'usual GET /quote?of=shop a-secret-of-smoke',
    'usual POST /hold?of=shop a-secret-of-smoke',
  ]);
});

it('tries them at another address, and nowhere else', async () => {
  await run({ flows: [flow('quote')] }, `${servers[1]!.url}/`);
  expect(asked).toEqual(['new GET /quote?of=shop a-secret-of-smoke']);
});

it('stops at the first that does not work, once, and names it without its secrets', async () => {
  broken = '/hold?of=shop';
  const failure = await failureOf(run({ flows: [flow('quote'), flow('hold'), flow('confirm')] }));
  expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: true });
  expect(failure.message).toMatch(/^Could not try the key flow "hold" of shop\/production: .* answered 500/);
  expect(failure.message).not.toContain('a-secret');
  expect(asked).toHaveLength(2);
});

it('is over after its own time, whatever each request may take', async () => {
  silent = '/hold?of=shop';
  const flows = [flow('quote'), flow('hold', { timeoutMs: 60_000 }), flow('confirm')];
  const failure = await failureOf(run({ flows, timeoutSeconds: 0.5 }));
  expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: true });
  expect(failure.message).toBe(
    'Could not try the key flow "hold" of shop/production: the smoke test takes longer than its timeoutSeconds, 0.5 s.',
  );
  expect(asked).toHaveLength(2);
});

it.each([
  [{ flows: [flow('quote'), flow('hold', { timeoutMs: 2_000 })] }, 12_000],
  [{ flows: [flow('quote', { timeoutMs: 60_000 })], timeoutSeconds: 30 }, 30_000],
])('says how long %j may take', (smoke, wanted) => {
  expect(longestSmokeMs(parse(smoke).data!.services['shop']!.environments['production']!.smoke!)).toBe(
    wanted,
  );
});

it('runs a command as well, which gets the address of a new deployment', async () => {
  const smoke = { run: ['sh', '-c', 'echo "$RUNBOOKS_ENVIRONMENT at $DEPLOYMENT_URL"'] };
  expect((await run(smoke, 'http://new')).detail).toBe('production at http://new');
  expect((await run(smoke)).detail).toBe('production at');
});

it('says that none is configured', async () => {
  expect(await run(undefined)).toMatchObject({ ran: false, detail: 'no smoke configured' });
});

it.each([
  {},
  { run: ['true'], flows: [flow('quote')] },
  { flows: [] },
  { flows: [flow('quote')], environment: { KEY: 'x' } },
])('refuses %j', (smoke) => {
  expect(parse(smoke).success).toBe(false);
});
