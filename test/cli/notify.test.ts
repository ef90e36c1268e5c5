import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startReceiver, type Receiver } from '../activities/notifications/receiver';
import { runCli, temporaryFolder } from './harness';

const folder = temporaryFolder();
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  const database = {
    url: 'postgresql://x',
    identity: { systemIdentifier: '7300000000000000001', database: 'x' },
  };
  const environments = { production: { database } };
  const notify = [
    { kind: 'slack', name: 'chat', webhookUrl: '${env:CHAT_URL}', fallback: 'hook' },
    { kind: 'webhook', name: 'hook', url: `${receiver.base}/hook` },
    { kind: 'pagerduty', name: 'pager', routingKey: 'the-routing-key', apiUrl: receiver.base },
  ];
  const config = { services: { shop: { environments, notify }, quiet: { environments } } };
  writeFileSync(join(folder.path, 'runbooks.yaml'), JSON.stringify(config));
});
afterAll(async () => {
  folder.remove();
  await receiver.close();
});
beforeEach(() => {
  receiver.reset();
  receiver.reply = ({ path }) => (path === '/v2/enqueue' ? { status: 202 } : {});
});

const notify = (...args: string[]) =>
  runCli(['--config', join(folder.path, 'runbooks.yaml'), 'notify', ...args], {
    env: { CHAT_URL: `${receiver.base}/services/abcdefgh12345678` },
  });

describe('runbooks notify', () => {
  it('sends to every channel, and not a page unless told so', async () => {
    const { code, stdout } = await notify('--service', 'shop');
    expect(code).toBe(0);
    expect(stdout).toMatch(/sent +chat +slack +taken/);
    expect(stdout).toMatch(/not sent +pager +pagerduty +takes only pages: try --page/);
    expect(receiver.received.map(({ path }) => path).sort()).toEqual(['/hook', '/services/abcdefgh12345678']);
    expect(JSON.stringify(receiver.received)).toContain('Nothing is wrong');
  });

  it('with --page opens one of the least severity and resolves it', async () => {
    const { code, stdout } = await notify(
      '--service',
      'shop',
      '--channel',
      'pager',
      '--page',
      '--text',
      'hello',
    );
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/taken, and resolved/) });
    const [opened, closed] = receiver.received.map(({ body }) => body);
    expect(opened).toMatchObject({
      event_action: 'trigger',
      payload: { severity: 'info', summary: 'shop: hello' },
    });
    expect(closed).toMatchObject({ event_action: 'resolve', dedup_key: opened.dedup_key });
  });

  it('says which channel failed, and why, without its secret, and asks no fallback', async () => {
    receiver.reply = ({ path }) => ({ status: 404, body: `no such ${path}` });
    const { code, stdout } = await notify('--service', 'shop', '--channel', 'chat');
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAILED +chat +slack +answered 404: no such \*\*\*/);
    expect(stdout).not.toContain('abcdefgh12345678');
    expect(receiver.received).toHaveLength(1);
  });

  it.each([
    [['--service', 'gone'], /unknown service "gone"/],
    [['--service', 'shop', '--channel', 'fax'], /unknown channel of shop "fax". Known: chat, hook, pager/],
    [['--service', 'quiet'], /quiet has no channels: write some under services.quiet.notify/],
  ])('%j ends with 2 and says what is known', async (args, expected) => {
    const { code, stderr } = await notify(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(expected);
  });
});
