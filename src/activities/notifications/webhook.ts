import type { NotificationConfig } from '../../config/notification-schema';
import type { Message, Sending, Sent } from './message';
import { said } from '../support/http-status';
import { postJson } from './post';

/** Posts the message as JSON to an address of one's own. Anything but 2xx is a failure. */
export async function sendToWebhook(
  { url, headers }: NotificationConfig & { kind: 'webhook' },
  message: Message,
  { resolve, signal }: Sending,
): Promise<Sent> {
  const { kind, service, title, text, workflowId, incident, severity, at, link } = message;
  const body = {
    kind,
    service,
    title,
    text,
    severity: severity ?? null,
    incident,
    workflowId,
    at,
    link: link ?? null,
  };
  const resolved = Object.entries(headers).map(([name, value]) => [name, resolve(value)]);
  const answer = await postJson(resolve(url), body, {
    headers: Object.fromEntries(resolved) as Record<string, string>,
    signal,
  });
  if (answer.status < 200 || answer.status >= 300) throw new Error(said(answer));
  return {};
}
