import { createApplicationActivities } from '../../src/activities/application';
import { configWith, startReceiver, type Receiver } from './notifications/receiver';

let server: Receiver;
beforeAll(async () => {
  server = await startReceiver();
});
afterAll(() => server.close());
beforeEach(() => server.reset());

describe('the application', () => {
  const activities = () =>
    createApplicationActivities({
      config: configWith(
        {},
        {
          application: {
            health: [
              { name: 'ready', url: `${server.base}/ready` },
              { name: 'gone', url: 'http://127.0.0.1:1/health' },
            ],
            errorRate: { url: `${server.base}/rate`, field: 'now.rate', max: 0.01 },
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
    server.reply = () => ({ status: 503, body: 'down' });
    expect((await activities().checkHealth(place))[0]).toMatchObject({
      ok: false,
      detail: 'answered 503: down',
    });
  });

  it.each([
    ['{"now":{"rate":0.002}}', true],
    ['{"now":{"rate":0.05}}', false],
  ])('with the error rate %s is within its objective: %s', async (body, ok) => {
    server.reply = () => ({ body });
    expect((await activities().readErrorRate(place)).ok).toBe(ok);
  });

  it.each(['{"now":{}}', '{"now":{"rate":"0"}}', 'null'])(
    'that answers %s has no error rate, which is a failure',
    async (body) => {
      server.reply = () => ({ body });
      await expect(activities().readErrorRate(place)).rejects.toThrow(/no number at "now\.rate"/);
    },
  );
});
