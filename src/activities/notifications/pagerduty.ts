import { createHash } from 'node:crypto';
import type { NotificationConfig } from '../../config/notification-schema';
import type { Severity } from '../../contract/modes';
import { printableLine } from '../../contract/printable';
import { cut, type Message, type MessageKind, type Sending, type Sent } from './message';
import { said } from '../support/http-status';
import { postJson } from './post';

const MAX_KEY = 255;
const MAX_SUMMARY = 1_024;
const MAX_DETAIL = 10_000;

const ACTIONS: Record<MessageKind, string | undefined> = {
  page: 'trigger',
  acknowledged: 'acknowledge',
  resolved: 'resolve',
  // An event is a call for somebody, not a diary.
  status: undefined,
};

const SEVERITIES: Record<Severity, string> = { P0: 'critical', P1: 'error', P2: 'warning', P3: 'info' };

/**
 * Events API v2. All events of an incident have one `dedup_key`, so a repeated one does no harm and this tries again.
 * https://developer.pagerduty.com/docs/events-api-v2-overview
 */
export async function sendToPagerDuty(
  { routingKey, apiUrl }: NotificationConfig & { kind: 'pagerduty' },
  message: Message,
  { resolve, signal }: Sending,
): Promise<Sent> {
  const action = ACTIONS[message.kind];
  if (action === undefined) return 'skipped';
  const event = {
    routing_key: resolve(routingKey),
    event_action: action,
    dedup_key: dedupKey(message.incident),
    ...(action === 'trigger' ? trigger(message) : {}),
  };
  const answer = await postJson(`${apiUrl}/v2/enqueue`, event, { signal, again: 'lost' });
  if (answer.status === 202) return {};
  const advice =
    answer.status === 400 ? '; check routingKey: it is the integration key of Events API v2' : '';
  throw new Error(`PagerDuty ${said(answer)}${advice}`);
}

function trigger({ service, text, title, severity, at, workflowId, link, rung }: Message) {
  return {
    payload: {
      summary: cut(printableLine(`${service}: ${text}`), MAX_SUMMARY),
      source: service,
      severity: severity === undefined ? 'error' : SEVERITIES[severity],
      timestamp: at,
      component: service,
      class: title,
      custom_details: { text: cut(text, MAX_DETAIL), priority: severity, rung, run: workflowId },
    },
    client: 'durable-runbooks',
    ...(link === undefined
      ? {}
      : { client_url: link, links: [{ href: link, text: 'The run in the Temporal UI' }] }),
  };
}

/** The incident; its beginning and a hash where it is longer than PagerDuty takes. */
export function dedupKey(incident: string): string {
  if (incident.length <= MAX_KEY) return incident;
  const hash = createHash('sha256').update(incident).digest('hex');
  return `${incident.slice(0, MAX_KEY - hash.length - 1)}-${hash}`;
}
