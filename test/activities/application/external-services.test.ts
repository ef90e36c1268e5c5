import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createExternalServiceActivities } from '../../../src/activities/application/external-services';
import { configSchema } from '../../../src/config/schema';
import { runActivity } from '../../support/postgres';

let server: Server;
let base: string;
let answer: { status: number; body: string; afterMs?: number };
beforeAll(async () => {
  server = createServer((_, response) => {
    setTimeout(() => response.writeHead(answer.status).end(answer.body), answer.afterMs ?? 0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

async function check(more: Record<string, unknown> = {}) {
  const database = {
    url: 'postgresql://x',
    identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
  };
  const application = {
    externalServices: [{ name: 'twilio', url: base, contact: 'support@example.com', ...more }],
  };
  const config = configSchema.parse({
    services: { shop: { environments: { production: { database, application } } } },
  });
  const { checkExternalServices } = createExternalServiceActivities({
    config: { ...config, file: 'x', directory: '/' },
  });
  const [found] = await runActivity(checkExternalServices, { service: 'shop', environment: 'production' });
  return found;
}

describe('the status page of somebody else', () => {
  it.each([
    ['{"status":{"indicator":"none"}}', 'healthy'],
    ['{"status":{"indicator":"NONE"}}', 'healthy'],
    ['{"status":{"indicator":"major"}}', 'unhealthy'],
    ['{"status":{}}', 'unknown'],
    ['{"status":{"indicator":{}}}', 'unknown'],
    ['maintenance', 'unknown'],
  ])('that answers %s is %s', async (body, state) => {
    answer = { status: 200, body };
    expect(await check()).toMatchObject({ name: 'twilio', state, contact: 'support@example.com' });
  });

  it('is read by its own field and words', async () => {
    answer = { status: 200, body: '{"components":[{"up":true}]}' };
    expect(await check({ field: 'components.0.up', healthy: ['true'] })).toMatchObject({
      state: 'healthy',
      detail: 'says "true"',
    });
  });

  it('that cannot be reached says nothing about the service', async () => {
    expect(await check({ url: 'http://127.0.0.1:9/x' })).toMatchObject({ state: 'unknown' });
    answer = { status: 200, body: '{}', afterMs: 2_000 };
    expect(await check({ timeoutMs: 50 })).toMatchObject({ state: 'unknown' });
  });
});
