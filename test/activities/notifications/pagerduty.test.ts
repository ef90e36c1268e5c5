import type { Announcement } from '../../../src/activities/notifications/message';
import { dedupKey } from '../../../src/activities/notifications/pagerduty';
import { announceWith, startReceiver, WORKFLOW_ID, type Receiver } from './receiver';

let pager: Receiver;
beforeAll(async () => {
  pager = await startReceiver();
});
afterAll(() => pager.close());
beforeEach(() => {
  pager.reset();
  pager.reply = () => ACCEPTED;
});

const ACCEPTED = { status: 202, body: '{"status":"success"}' };
const ROUTING_KEY = '0123456789abcdef0123456789abcdef';
const send = (message: Partial<Announcement> = {}) =>
  announceWith(
    { notify: [{ kind: 'pagerduty', name: 'pager', routingKey: ROUTING_KEY, apiUrl: pager.base }] },
    { kind: 'page', ...message },
  );
const bodies = () => pager.received.map(({ body }) => body);

describe('PagerDuty', () => {
  it('gets a page as a trigger that says what, where, how bad, since when, and where to look', async () => {
    expect(await send({ severity: 'P0', rung: 'on-call', text: 'the site\nis down' })).toEqual({
      told: ['pager'],
      problems: [],
    });
    expect(pager.received[0]?.path).toBe('/v2/enqueue');
    const link =
      'http://ui/namespaces/default/workflows/migrateDatabase%2Fshop%2F1/00000000-0000-0000-0000-000000000000/user-metadata';
    expect(bodies()).toEqual([
      {
        routing_key: ROUTING_KEY,
        event_action: 'trigger',
        dedup_key: WORKFLOW_ID,
        payload: {
          summary: 'shop: the site is down',
          source: 'shop',
          severity: 'critical',
          timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
          component: 'shop',
          class: 'Migrate a database',
          custom_details: {
            text: 'the site\nis down',
            priority: 'P0',
            rung: 'on-call',
            run: WORKFLOW_ID,
          },
        },
        client: 'durable-runbooks',
        client_url: link,
        links: [{ href: link, text: 'The run in the Temporal UI' }],
      },
    ]);
  });

  it('gets the end of it under the same key, and no status texts', async () => {
    for (const kind of ['page', 'acknowledged', 'status', 'resolved'] as const)
      await send({ kind, incident: 'incident-1' });
    expect(bodies().map(({ event_action, dedup_key }) => [event_action, dedup_key])).toEqual([
      ['trigger', 'incident-1'],
      ['acknowledge', 'incident-1'],
      ['resolve', 'incident-1'],
    ]);
    expect(await send({ kind: 'status' })).toEqual({ told: [], problems: [] });
  });

  it.each([
    ['P0', 'critical'],
    ['P1', 'error'],
    ['P2', 'warning'],
    ['P3', 'info'],
    [undefined, 'error'],
  ] as const)('knows %s as %s', async (severity, expected) => {
    await send({ severity });
    expect(bodies()[0].payload.severity).toBe(expected);
  });

  it('gets keys and summaries of at most its own length, and different ones for different incidents', async () => {
    const long = (tail: string) => `${'respondToIncident/'.repeat(20)}${tail}`;
    await send({ incident: long('1'), text: 'x'.repeat(5_000) });
    await send({ incident: long('2') });
    const [first, second] = bodies();
    expect(first.dedup_key).toHaveLength(255);
    expect(first.dedup_key).not.toBe(second.dedup_key);
    expect(first.payload.summary.length).toBeLessThanOrEqual(1_024);
    expect(dedupKey('x'.repeat(255))).toBe('x'.repeat(255));
  });

  it('is not asked again after a 400, and the key is not in the problem', async () => {
    pager.reply = ({ body }) => ({ status: 400, body: `{"message":"invalid ${body.routing_key}"}` });
    const { told, problems } = await send();
    expect(told).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(/answered 400.*check routingKey/)]);
    expect(problems.join()).not.toContain(ROUTING_KEY);
    expect(pager.received).toHaveLength(1);
  });

  it.each([
    ['a 503', { status: 503 }],
    ['a 429', { status: 429, headers: { 'retry-after': '1' } }],
    ['a lost connection', { instead: 'cut' as const }],
  ])('is asked again after %s', async (_, first) => {
    pager.reply = (__, count) => (count === 1 ? first : ACCEPTED);
    expect((await send()).told).toEqual(['pager']);
    expect(pager.received).toHaveLength(2);
  });

  it('is given up after three times', async () => {
    pager.reply = () => ({ status: 500, body: 'down' });
    const { told, problems } = await send();
    expect(told).toEqual([]);
    expect(problems.join()).toMatch(/answered 500: down/);
    expect(pager.received).toHaveLength(3);
  });
});
