import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { configSchema } from '../../src/config/schema';
import type { LoadedConfig } from '../../src/config/load';
import { createAnnounceActivities } from '../../src/activities/announce';
import { createApplicationActivities } from '../../src/activities/application';

interface Received {
  path: string;
  headers: Record<string, unknown>;
  body: Record<string, unknown>;
}

let server: Server;
let base: string;
let received: Received[];
let answer: { status: number; body: string };
beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
      received.push({ path: request.url ?? '', headers: request.headers, body });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env['HOOK_TOKEN'] = 'very-secret-token';
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  received = [];
  answer = { status: 200, body: 'ok' };
});

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};

function configWith(
  service: Record<string, unknown>,
  environment: Record<string, unknown> = {},
): LoadedConfig {
  const parsed = configSchema.parse({
    temporal: { uiUrl: 'http://ui' },
    services: { shop: { environments: { production: { database, ...environment } }, ...service } },
  });
  return { ...parsed, file: '/x/runbooks.yaml', directory: '/x' };
}

describe('announcements', () => {
  const channels = () => ({
    notify: [
      { kind: 'slack', name: 'ops', webhookUrl: `${base}/slack` },
      {
        kind: 'webhook',
        name: 'status',
        url: `${base}/hook`,
        headers: { authorization: 'Bearer ${env:HOOK_TOKEN}' },
      },
    ],
    escalation: [{ name: 'on-call', notify: ['ops'] }],
  });
  const announce = (rung: string | null) =>
    createAnnounceActivities({ config: configWith(channels()) }).announce({
      service: 'shop',
      text: 'a <b> & c',
      title: 'Migrate',
      workflowId: 'migrateDatabase/shop/1',
      rung,
    });

  it('reach every channel, escaped for Slack, with a link to the run', async () => {
    expect(await announce(null)).toEqual({
      told: expect.arrayContaining(['ops', 'status']) as unknown,
      problems: [],
    });
    const slack = received.find(({ path }) => path === '/slack')!.body['text'] as string;
    expect(slack).toContain('a &lt;b&gt; &amp; c');
    expect(slack).toContain(
      '<http://ui/namespaces/default/workflows/migrateDatabase%2Fshop%2F1|migrateDatabase/shop/1>',
    );
    const hook = received.find(({ path }) => path === '/hook')!;
    expect(hook.headers['authorization']).toBe('Bearer very-secret-token');
    expect(hook.body).toMatchObject({ service: 'shop', text: 'a <b> & c' });
  });

  it('to a rung of the ladder reach only its channels', async () => {
    expect((await announce('on-call')).told).toEqual(['ops']);
  });

  it('that are refused are a problem and no error, without the secret', async () => {
    answer = { status: 403, body: 'bad very-secret-token' };
    const { told, problems } = await announce(null);
    expect(told).toEqual([]);
    expect(problems.join()).toMatch(/answered 403/);
    expect(problems.join()).not.toContain('very-secret-token');
  });
});

describe('the application', () => {
  const activities = () =>
    createApplicationActivities({
      config: configWith(
        {},
        {
          application: {
            health: [
              { name: 'ready', url: `${base}/ready` },
              { name: 'gone', url: 'http://127.0.0.1:1/health' },
            ],
            errorRate: { url: `${base}/rate`, field: 'now.rate', max: 0.01 },
          },
        },
      ),
    });
  const place = { service: 'shop', environment: 'production' };

  it('is healthy only where its endpoints answer 2xx; one that does not answer is a failed check', async () => {
    expect(await activities().checkHealth(place)).toMatchObject([
      { name: 'ready', ok: true },
      { name: 'gone', ok: false },
    ]);
    answer = { status: 503, body: 'down' };
    expect((await activities().checkHealth(place))[0]).toMatchObject({
      ok: false,
      detail: 'answered 503: down',
    });
  });

  it.each([
    ['{"now":{"rate":0.002}}', true],
    ['{"now":{"rate":0.05}}', false],
  ])('with the error rate %s is within its objective: %s', async (body, ok) => {
    answer = { status: 200, body };
    expect((await activities().readErrorRate(place)).ok).toBe(ok);
  });

  it.each(['{"now":{}}', '{"now":{"rate":"0"}}', 'null'])(
    'that answers %s has no error rate, which is a failure',
    async (body) => {
      answer = { status: 200, body };
      await expect(activities().readErrorRate(place)).rejects.toThrow(/no number at "now\.rate"/);
    },
  );
});
