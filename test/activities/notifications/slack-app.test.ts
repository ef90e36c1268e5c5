import type { Announcement } from '../../../src/activities/notifications/message';
import { announceWith, startReceiver, WORKFLOW_ID, type Receiver } from './receiver';

let slack: Receiver;
beforeAll(async () => {
  slack = await startReceiver();
  process.env['SLACK_TOKEN'] = 'xoxb-very-secret';
});
afterAll(() => slack.close());
beforeEach(() => {
  slack.reset();
  slack.reply = (_, count) => json({ ok: true, ts: `17000000${count}.0001`, channel: 'C1' });
});

const json = (value: unknown) => ({ body: JSON.stringify(value) });
const send = (message: Partial<Announcement> = {}) =>
  announceWith(
    {
      notify: [
        {
          kind: 'slack-app',
          name: 'ops',
          token: '${env:SLACK_TOKEN}',
          channel: 'C1',
          apiUrl: `${slack.base}/api`,
        },
      ],
    },
    message,
  );

describe('a Slack app', () => {
  it('posts with the token, marks the message with its run, and gives back the thread', async () => {
    const result = await send({ kind: 'page', severity: 'P1', incident: 'incident-1' });
    expect(result).toEqual({ told: ['ops'], problems: [], threads: { ops: '170000001.0001' } });
    const [{ path, headers, body }] = slack.received as [Receiver['received'][0]];
    expect(path).toBe('/api/chat.postMessage');
    expect(headers.authorization).toBe('Bearer xoxb-very-secret');
    expect(body).toMatchObject({
      channel: 'C1',
      metadata: { event_payload: { workflowId: WORKFLOW_ID, incident: 'incident-1', kind: 'page' } },
    });
    expect(body).not.toHaveProperty('thread_ts');
    expect(body.blocks.map(({ type }: { type: string }) => type)).toEqual(['header', 'section', 'context']);
  });

  it.each([
    ['status', undefined, ['section', 'context']],
    ['acknowledged', undefined, ['header', 'section', 'context']],
    ['page', true, ['header', 'section', 'context']],
    ['resolved', true, ['header', 'section', 'context']],
  ] as const)(
    'answers in the thread of the incident with a %s; also in the channel: %s',
    async (kind, broadcast, blocks) => {
      const { threads } = await send({ kind: 'page' });
      expect(await send({ kind, threads })).toMatchObject({ threads: { ops: '170000001.0001' } });
      const { body } = slack.received[1] as Receiver['received'][0];
      expect(body.thread_ts).toBe('170000001.0001');
      expect(body.reply_broadcast).toBe(broadcast);
      expect(body.blocks.map(({ type }: { type: string }) => type)).toEqual(blocks);
    },
  );

  it('begins a new thread when the first message is gone', async () => {
    slack.reply = ({ body }) =>
      json('thread_ts' in body ? { ok: false, error: 'thread_not_found' } : { ok: true, ts: '18.1' });
    expect(await send({ threads: { ops: '17.1', mail: 'x' } })).toEqual({
      told: ['ops'],
      problems: [],
      threads: { ops: '18.1', mail: 'x' },
    });
  });

  it.each([
    ['invalid_auth', /invalid_auth; set a valid bot token/],
    ['channel_not_found', /channel_not_found; correct the channel/],
    ['not_in_channel', /not_in_channel; invite the app/],
    ['msg_too_long', /msg_too_long; the text is too long/],
    ['something_new', /something_new$/],
  ])('that is refused with %s says so, and what to do', async (error, expected) => {
    slack.reply = () => json({ ok: false, error });
    const { told, problems } = await send();
    expect(told).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(expected)]);
    expect(problems.join()).not.toContain('very-secret');
  });

  it('waits as long as Slack asks for, when that is short', async () => {
    slack.reply = (_, count) =>
      count === 1
        ? { status: 429, headers: { 'retry-after': '1' }, ...json({ ok: false, error: 'ratelimited' }) }
        : json({ ok: true, ts: '19.1' });
    const before = Date.now();
    expect((await send()).told).toEqual(['ops']);
    expect(Date.now() - before).toBeGreaterThanOrEqual(950);
    expect(slack.received).toHaveLength(2);
  });

  it('gives up at once when Slack asks for long', async () => {
    slack.reply = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    const { told, problems } = await send();
    expect(told).toEqual([]);
    expect(problems.join()).toMatch(/takes no message for another 3600 s/);
    expect(slack.received).toHaveLength(1);
  });

  it('says so after three times "later"', async () => {
    slack.reply = () => ({ status: 429, headers: { 'retry-after': '0' } });
    expect((await send()).problems.join()).toMatch(/ratelimited; too many messages/);
    expect(slack.received).toHaveLength(3);
  });

  it.each(['<html>login</html>', 'null', '[]', '{"ok":"yes"}'])(
    'does not believe the answer %s',
    async (body) => {
      slack.reply = () => ({ body });
      const { told, problems } = await send();
      expect(told).toEqual([]);
      expect(problems.join()).toMatch(/this is no answer of Slack, check apiUrl/);
    },
  );
});
