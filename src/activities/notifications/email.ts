import { createHash } from 'node:crypto';
import { createTransport } from 'nodemailer';
import type { NotificationConfig } from '../../config/notification-schema';
import { printableLine } from '../../contract/printable';
import { cut, labelOf, timeOf, type Message, type Sending, type Sent } from './message';

const TIMEOUT_MS = 5_000;
const MAX_SUBJECT = 150;

const ADVICE: Record<string, string> = {
  EAUTH: 'correct user and password in smtpUrl',
  EENVELOPE: 'correct from and to',
  ETLS: 'the server must offer TLS that this worker trusts',
  EDNS: 'correct the host in smtpUrl',
};

/**
 * Sends a mail; the later ones of an incident refer to its first. A mail that is sent again, by whichever worker, has the
 * same Message-ID, so that it is shown once.
 */
export async function sendByEmail(
  { smtpUrl, from, to }: NotificationConfig & { kind: 'email' },
  message: Message,
  { resolve, signal, thread }: Sending,
): Promise<Sent> {
  const id = messageId(from, message);
  const transport = createTransport({
    ...securityOf(resolve(smtpUrl)),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    dnsTimeout: TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const { rejected } = await transport.sendMail({
      from,
      to,
      subject: subjectOf(message),
      text: textOf(message),
      messageId: id,
      ...(thread === undefined ? {} : { inReplyTo: thread, references: thread }),
      priority: message.kind === 'page' ? 'high' : 'normal',
      // No out-of-office replies. RFC 3834
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal,
    });
    const refused = rejected.map(String).join(', ');
    return { thread: thread ?? id, ...(refused === '' ? {} : { problem: `not taken for ${refused}` }) };
  } catch (error) {
    const { code = '', message: why } = error as Error & { code?: string };
    const advice = ADVICE[code];
    throw new Error(advice === undefined ? why : `${why}; ${advice}`);
  } finally {
    transport.close();
  }
}

/** A password leaves this machine only through TLS, unless the URL itself says otherwise (`?ignoreTLS=true`). */
function securityOf(address: string): { url: string; requireTLS?: boolean } {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^smtps?:$/.test(url.protocol))
    throw new Error(
      'smtpUrl is no SMTP URL; write smtp://host:587 or smtps://host, user and password before the host',
    );
  const plain =
    url.searchParams.get('ignoreTLS') === 'true' || url.searchParams.get('requireTLS') === 'false';
  const isLocal = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  return { url: address, ...(url.password !== '' && !plain && !isLocal ? { requireTLS: true } : {}) };
}

/** On one line whatever the text holds: a line break would begin a new header. */
function subjectOf(message: Message): string {
  return cut(printableLine(`[${labelOf(message)}] ${message.service}: ${message.text}`), MAX_SUBJECT);
}

function textOf(message: Message): string {
  const { service, title, text, workflowId, link } = message;
  return [
    text,
    '',
    ...(link === undefined ? [] : [`Open the run: ${link}`]),
    `Run:      ${workflowId}`,
    `Runbook:  ${printableLine(title)}`,
    `Service:  ${service}`,
    `Kind:     ${labelOf(message)}`,
    `Time:     ${timeOf(message)}`,
    '',
  ].join('\n');
}

function messageId(from: string, { incident, id }: Message): string {
  const hash = createHash('sha256').update(`${incident}\n${id}`).digest('hex').slice(0, 32);
  return `<${hash}.runbooks@${/@([\w.-]+)/.exec(from)?.[1] ?? 'localhost'}>`;
}
