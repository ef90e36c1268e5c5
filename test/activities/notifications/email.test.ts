import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Announcement } from '../../../src/activities/notifications/message';
import { startSmtp, type SmtpServer } from '../../support/smtp';
import { announceWith } from './receiver';

let smtp: SmtpServer;
beforeAll(async () => {
  smtp = await startSmtp();
});
afterAll(() => smtp.close());
beforeEach(() => smtp.reset());

const channel = (smtpUrl: string) => ({
  kind: 'email',
  name: 'mail',
  smtpUrl,
  from: 'Runbooks <runbooks@shop.example>',
  to: ['ana@shop.example', 'ben@shop.example'],
});
const send = (message: Partial<Announcement> = {}, activityId?: string, login = 'ana:s3cret@') =>
  announceWith({ notify: [channel(`smtp://${login}127.0.0.1:${smtp.port}`)] }, message, { activityId });

/** Headers by lower-case name, with folded lines joined. */
function headersOf(source: string): Record<string, string> {
  const head = (source.split('\r\n\r\n')[0] ?? '').replace(/\r\n\s+/g, ' ');
  return Object.fromEntries(
    head
      .split('\r\n')
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.replace(/^[^:]*: */, '')]),
  );
}
const headers = (index: number) => headersOf(smtp.mails[index]?.source ?? '');

describe('a mail', () => {
  it('has severity, service and summary in its subject, and text and link in its body', async () => {
    const result = await send({ kind: 'page', severity: 'P1', text: 'the site is down' });
    expect(result).toMatchObject({ told: ['mail'], problems: [] });
    const [{ source, to }] = smtp.mails as [SmtpServer['mails'][0]];
    expect(to).toEqual(['ana@shop.example', 'ben@shop.example']);
    expect(headers(0)).toMatchObject({
      subject: '[P1 page] shop: the site is down',
      from: 'Runbooks <runbooks@shop.example>',
      'x-priority': '1 (Highest)',
      'auto-submitted': 'auto-generated',
    });
    const body = source.slice(source.indexOf('\r\n\r\n')).trim().replace(/=\r\n/g, '');
    expect(body).toMatch(/^the site is down/);
    expect(body).toContain('http://ui/namespaces/default/workflows/migrateDatabase%2Fshop%2F1');
    expect(body).toMatch(/Time: +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
  });

  it.each([
    'a\r\nBcc: evil@example.com',
    'a\nBcc: evil@example.com',
    'a\u2028Bcc: evil@example.com',
    'a\0\vb',
    '\u001b]0;owned\u0007a\u202e\u009b31m b',
  ])('cannot be given another header by its text: %j', async (text) => {
    await send({ text, title: `x\r\nBcc: evil@example.com` });
    expect(Object.keys(headers(0))).not.toContain('bcc');
    expect(smtp.mails[0]?.to).toEqual(['ana@shop.example', 'ben@shop.example']);
    expect(headers(0)['subject']).toMatch(/^\[Status\] shop: a /);
  });

  it('hangs on to the first mail of its incident', async () => {
    const first = await send({ kind: 'page' }, '5');
    const second = await send({ kind: 'status', threads: first.threads }, '6');
    expect(second.threads).toEqual(first.threads);
    const id = headers(0)['message-id'];
    expect(id).toMatch(/^<[0-9a-f]{32}\.runbooks@shop\.example>$/);
    expect(first.threads).toEqual({ mail: id });
    expect(headers(0)).not.toHaveProperty('references');
    expect(headers(1)).toMatchObject({ references: id, 'in-reply-to': id });
    expect(headers(1)['message-id']).not.toBe(id);
  });

  it('that is sent again has the same Message-ID, and a reminder with the same text another', async () => {
    await send({ kind: 'page' }, '5');
    await send({ kind: 'page' }, '5');
    await send({ kind: 'page' }, '6');
    expect(headers(1)['message-id']).toBe(headers(0)['message-id']);
    expect(headers(2)['message-id']).not.toBe(headers(0)['message-id']);
  });

  it('that only some may get reaches those, and says for whom it was not taken', async () => {
    smtp.answer = (line) => (/^RCPT.*ben@/.test(line) ? '550 no such user' : undefined);
    expect(await send()).toMatchObject({
      told: ['mail'],
      problems: ['mail: not taken for ben@shop.example'],
    });
    expect(smtp.mails[0]?.to).toEqual(['ana@shop.example']);
  });

  it('that is refused says why and what to do, without the password in any form', async () => {
    smtp.answer = (line) => (line.startsWith('AUTH') ? `535 no login with ${line}, s3cret` : undefined);
    const { told, problems } = await send();
    expect(told).toEqual([]);
    expect(problems.join()).toMatch(/535 no login.*correct user and password/);
    expect(problems.join()).not.toContain('s3cret');
    expect(problems.join()).not.toContain(Buffer.from('\0ana\0s3cret').toString('base64'));
  });

  it.each(['not a url', 'http://host', 'smtp://u:p#x@host:25'])(
    'needs a good smtpUrl, unlike %s',
    async (smtpUrl) => {
      const { problems } = await announceWith({ notify: [channel(smtpUrl)] });
      expect(problems).toEqual([expect.stringMatching(/^mail: smtpUrl is no SMTP URL/)]);
    },
  );
});

// Only Linux has the whole of 127.0.0.0/8 on its loopback.
(process.platform === 'linux' ? describe : describe.skip)('a password', () => {
  it('does not leave for a server that offers no TLS', async () => {
    const remote = await startSmtp({ host: '127.0.0.2' });
    try {
      const { told, problems } = await announceWith({
        notify: [channel(`smtp://ana:s3cret-s3cret@127.0.0.2:${remote.port}`)],
      });
      expect(told).toEqual([]);
      expect(problems.join()).toMatch(/TLS/);
      expect(remote.lines.join()).not.toContain('AUTH');
    } finally {
      await remote.close();
    }
  });
});

function selfSigned(): { key: string; cert: string } | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'runbooks-smtp-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  try {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', [...args, '-days', '1', '-subj', '/CN=loopback', '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const certificate = selfSigned();
// Without openssl there is no certificate to try this with.
(certificate === undefined ? describe.skip : describe)('a server with TLS', () => {
  let secure: SmtpServer;
  beforeAll(async () => {
    secure = await startSmtp({ certificate });
  });
  afterAll(() => secure.close());
  beforeEach(() => secure.reset());

  it('whose certificate nobody vouches for gets neither the mail nor the password', async () => {
    const { told, problems } = await announceWith({
      notify: [channel(`smtp://ana:s3cret-s3cret@127.0.0.1:${secure.port}`)],
    });
    expect(told).toEqual([]);
    expect(problems.join()).toMatch(/certificate/);
    expect(secure.lines.join()).not.toContain('AUTH');
  });

  it('gets both through TLS', async () => {
    const { told } = await announceWith({
      notify: [channel(`smtp://ana:s3cret-s3cret@127.0.0.1:${secure.port}?tls.rejectUnauthorized=false`)],
    });
    expect(told).toEqual(['mail']);
    expect(secure.mails[0]?.secure).toBe(true);
    const starttls = secure.lines.indexOf('STARTTLS');
    expect(secure.lines.findIndex((line) => line.startsWith('AUTH'))).toBeGreaterThan(starttls);
  });
});
