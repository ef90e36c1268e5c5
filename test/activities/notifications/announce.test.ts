import { ApplicationFailure } from '@temporalio/common';
import { createAnnounceActivities } from '../../../src/activities/notifications/announce';
import type { Announcement } from '../../../src/activities/notifications/message';
import { resolveSecrets } from '../../../src/config/secrets';
import { startSmtp, type SmtpServer } from '../../support/smtp';
import { announceWith, configWith, startReceiver, WORKFLOW_ID, type Receiver } from './receiver';

let http: Receiver;
let smtp: SmtpServer;
beforeAll(async () => {
  [http, smtp] = await Promise.all([startReceiver(), startSmtp()]);
  process.env['HOOK_TOKEN'] = 'very-secret-token';
});
afterAll(() => Promise.all([http.close(), smtp.close()]));
beforeEach(() => {
  http.reset();
  smtp.reset();
});

const hook = (name: string, fallback?: string) => ({
  kind: 'webhook',
  name,
  url: `${http.base}/${name}`,
  headers: { authorization: 'Bearer ${env:HOOK_TOKEN}' },
  ...(fallback === undefined ? {} : { fallback }),
});
const slack = (name: string, fallback?: string) => ({
  kind: 'slack',
  name,
  webhookUrl: `${http.base}/services/T000/B000/abcdefgh12345678`,
  ...(fallback === undefined ? {} : { fallback }),
});
const pager = (name: string, fallback?: string) => ({
  kind: 'pagerduty',
  name,
  routingKey: 'literal-routing-key',
  apiUrl: http.base,
  ...(fallback === undefined ? {} : { fallback }),
});
const paths = () => http.received.map(({ path }) => path);
const down = (...names: string[]) => {
  http.reply = ({ path }) => (names.includes(path.slice(1)) ? { status: 500 } : {});
};

describe('a message', () => {
  it('reaches every channel of the service, in the words of each', async () => {
    const { told, problems } = await announceWith(
      { notify: [slack('ops'), hook('status')] },
      { text: 'a <b> & c', severity: 'P2', kind: 'status', incident: 'i-1' },
    );
    expect(told.sort()).toEqual(['ops', 'status']);
    expect(problems).toEqual([]);
    const posted = http.received.find(({ path }) => path.startsWith('/services/'))?.body;
    expect(posted.text).toContain('a &lt;b&gt; &amp; c');
    expect(JSON.stringify(posted.blocks)).toContain(
      '<http://ui/namespaces/default/workflows/migrateDatabase%2Fshop%2F1/00000000-0000-0000-0000-000000000000/user-metadata|',
    );
    const hooked = http.received.find(({ path }) => path === '/status');
    expect(hooked?.headers.authorization).toBe('Bearer very-secret-token');
    expect(hooked?.body).toEqual({
      kind: 'status',
      service: 'shop',
      title: 'Migrate a database',
      text: 'a <b> & c',
      severity: 'P2',
      incident: 'i-1',
      workflowId: WORKFLOW_ID,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      link: 'http://ui/namespaces/default/workflows/migrateDatabase%2Fshop%2F1/00000000-0000-0000-0000-000000000000/user-metadata',
    });
  });

  it('carries nothing from outside that acts on who reads it, in any channel', async () => {
    const text =
      '\u001b]0;owned\u0007\u001b[8m\u009b2Jread \u202egnp\u2066 <!channel> <http://evil.example|here>\r\nme';
    await announceWith(
      { notify: [slack('ops'), hook('status'), pager('pager')] },
      { text, kind: 'page', title: text },
    );
    const bodies = http.received.map(({ body }) => JSON.stringify(body));
    expect(bodies).toHaveLength(3);
    for (const body of bodies) {
      expect(body).toContain('read gnp');
      // eslint-disable-next-line no-control-regex
      expect(body).not.toMatch(/\\u00[0189]|\\r|[\u0000-\u001f\u007f-\u009f\u202e\u2066]/);
    }
    const chat = http.received.find(({ path }) => path.startsWith('/services/'))?.body;
    const [{ text: headline }, { text: section }] = chat.blocks;
    // Shown as it is, whatever stands in it.
    expect(headline.type).toBe('plain_text');
    expect([chat.text, section.text].join()).not.toMatch(/<!channel|\|here>/);
  });

  const ladder = [
    { name: 'on-call', notify: ['a'] },
    { name: 'lead', notify: ['b'] },
  ];

  it.each([
    [{ rung: null }, ['a', 'b', 'c']],
    [{ rung: 'lead' }, ['b']],
    [{ rung: 'a rung that is gone' }, ['a', 'b', 'c']],
    [{ rung: null, channels: ['c'] }, ['c']],
  ] as [Partial<Announcement>, string[]][])('to %j reaches %j', async (to, expected) => {
    const { told } = await announceWith(
      { notify: [hook('a'), hook('b'), hook('c')], escalation: ladder },
      to,
    );
    expect(told.sort()).toEqual(expected);
  });

  it('that ends a page goes to those who got it, and to PagerDuty, which may have got it without an answer', async () => {
    http.reply = () => ({ status: 202 });
    const notify = [hook('a'), hook('b'), pager('pager')];
    const { told } = await announceWith({ notify }, { kind: 'resolved', channels: ['a'] });
    expect(told.sort()).toEqual(['a', 'pager']);
  });

  it('has no secret in it that this worker has read', async () => {
    resolveSecrets('${env:HOOK_TOKEN}', '/');
    await announceWith({ notify: [hook('a')] }, { text: 'login with very-secret-token failed' });
    expect(http.received[0]?.body.text).toBe('login with *** failed');
  });

  it('about a service that is gone is refused for good', async () => {
    const { announce } = createAnnounceActivities({ config: configWith({}) });
    const gone = { service: 'gone', text: '', workflowId: 'w', title: '', rung: null };
    const failure = await announce(gone).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  });
});

describe('a channel that fails', () => {
  it.each<[() => Record<string, unknown>, RegExp, string]>([
    [() => slack('ops'), /answered 500/, 'abcdefgh12345678'],
    [() => hook('ops'), /answered 500/, 'very-secret-token'],
    [() => ({ ...hook('ops'), url: 'TOBESET?key=tok5' }), /answered 500/, 'tok5'],
    [
      () => ({ ...slack('ops'), webhookUrl: 'http://127.0.0.1:1/services/T0/B0/abcdefgh' }),
      /no answer from 127/,
      'abcdefgh',
    ],
    [() => ({ ...slack('ops'), webhookUrl: 'no-url-but-secret' }), /no http\(s\) URL/, 'no-url-but-secret'],
    [() => ({ ...hook('ops'), headers: { 'x-key': 'line\nbreak' } }), /no answer|invalid/i, 'line\nbreak'],
    [
      () => ({ kind: 'slack-app', name: 'ops', token: 'xoxb-1', channel: 'C1', apiUrl: 'TOBESET' }),
      /answered 500/,
      'xoxb-1',
    ],
  ])('is a problem and no error, and names no secret: %#', async (channel, expected, secret) => {
    // A server that repeats everything it was told.
    http.reply = ({ path, headers, body }) => ({
      status: 500,
      body: `${path.split('/').pop()} ${path} ${headers.authorization ?? ''} ${JSON.stringify(body).slice(0, 20)}`,
    });
    const set = JSON.parse(JSON.stringify(channel()).replace('TOBESET', http.base)) as unknown;
    const { told, problems } = await announceWith({ notify: [set] });
    expect(told).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(expected)]);
    expect(problems.join()).toMatch(/^ops: /);
    expect(problems.join()).not.toContain(secret);
  });

  it('because its secret is missing says which', async () => {
    const { problems } = await announceWith({
      notify: [{ ...slack('ops'), webhookUrl: '${env:NOT_THERE}' }],
    });
    expect(problems).toEqual([expect.stringMatching(/^ops: \$\{env:NOT_THERE\} cannot be resolved/)]);
  });

  it.each([
    ['invalid_token', /invalid_token; make a new incoming webhook/],
    ['channel_is_archived', /channel_is_archived; name a channel that is not archived/],
  ])("says what to do about Slack's %s", async (body, expected) => {
    http.reply = () => ({ status: 403, body });
    expect((await announceWith({ notify: [slack('ops')] })).problems.join()).toMatch(expected);
  });

  it('is stood in for by its fallback, and that by its own', async () => {
    down('a', 'b');
    const notify = [hook('a', 'b'), hook('b', 'c'), hook('c')];
    const { told, problems } = await announceWith({ notify }, { channels: ['a'] });
    expect(told).toEqual(['c']);
    expect(problems.map((text) => text.slice(0, 2))).toEqual(['a:', 'b:']);
  });

  it('is tried once, also where fallbacks form a ring or share one', async () => {
    down('a', 'b');
    const ring = [hook('a', 'b'), hook('b', 'a')];
    expect((await announceWith({ notify: ring }, { channels: ['a'] })).told).toEqual([]);
    expect(paths()).toEqual(['/a', '/b']);
    http.received = [];
    const shared = [hook('a', 'c'), hook('b', 'c'), hook('c')];
    expect((await announceWith({ notify: shared }, { channels: ['a', 'b'] })).told).toEqual(['c']);
    expect(paths().sort()).toEqual(['/a', '/b', '/c']);
  });

  it('with a status is not stood in for by PagerDuty, which passes it on', async () => {
    down('a');
    const notify = [hook('a', 'pager'), pager('pager', 'c'), hook('c')];
    expect((await announceWith({ notify }, { channels: ['a'] })).told).toEqual(['c']);
  });

  it('by never answering holds nobody else up', async () => {
    http.reply = ({ path }) => (path === '/good' ? {} : { instead: 'silent' });
    smtp.answer = (line) => (line === '' ? 'silent' : undefined);
    const mail = {
      kind: 'email',
      name: 'mail',
      smtpUrl: `smtp://127.0.0.1:${smtp.port}`,
      from: 'a@b.example',
      to: ['c@d.example'],
    };
    const began = Date.now();
    const notify = [hook('good'), slack('chat'), mail];
    const { told, problems } = await announceWith({ notify });
    expect(told).toEqual(['good']);
    expect(problems.sort()).toEqual([
      expect.stringMatching(/^chat: no answer from 127.0.0.1:\d+ within 5 s/),
      // Two clocks of the same length: which of them is first is chance.
      expect.stringMatching(/^mail: (Greeting never received|Timeout)/),
    ]);
    // A minute is what Temporal gives the activity.
    expect(Date.now() - began).toBeLessThan(45_000);
  });

  it('is given up when its time is over, and its fallback still told', async () => {
    http.reply = ({ path }) => (path === '/good' ? {} : { instead: 'silent' });
    const result = await announceWith(
      { notify: [pager('pager', 'good'), hook('good')] },
      { kind: 'page', channels: ['pager'] },
      { patience: { channelMs: 300, allMs: 60_000 } },
    );
    expect(result).toEqual({ told: ['good'], problems: ['pager: it took too long, and was given up'] });
  });

  it('and its stand-ins together have a limit, too', async () => {
    http.reply = () => ({ instead: 'silent' });
    const notify = [hook('a', 'b'), hook('b', 'c'), hook('c')];
    const { told, problems } = await announceWith(
      { notify },
      { channels: ['a'] },
      { patience: { channelMs: 60_000, allMs: 300 } },
    );
    expect(told).toEqual([]);
    expect(problems).toHaveLength(3);
    // Nothing is sent any more once the time is over.
    expect(paths()).toEqual(['/a']);
  });
});
