import { bySignature, headerOf, refuse, verifyOwnSignature } from '../authenticate';
import { toAlert } from '../normal-form';
import type { Sender } from '../sender';
import { object, optionalText, read, text, time } from './fields';

const SIGNATURE = 'X-PagerDuty-Signature';

/** Events after which an incident needs somebody. Notes, responders, status updates and pings are no alerts. */
const FIRING = new Set([
  'incident.triggered',
  'incident.reopened',
  'incident.unacknowledged',
  'incident.acknowledged',
  'incident.escalated',
  'incident.priority_updated',
]);
const RESOLVED = 'incident.resolved';

const reference = object({ id: optionalText, summary: optionalText }).nullish();
const eventBody = object({ event: object({ event_type: text }) });
const incidentBody = object({
  event: object({
    event_type: text,
    data: object({
      id: text,
      title: optionalText,
      status: optionalText,
      created_at: time,
      html_url: optionalText,
      incident_key: optionalText,
      urgency: optionalText,
      priority: reference,
      service: reference,
      escalation_policy: reference,
    }),
  }),
});

/**
 * PagerDuty webhooks v3. While a secret is replaced a delivery carries a signature for each. No time is signed and
 * `X-Webhook-Id` is not signed either, so what is remembered is the body; it holds the ID of the event.
 */
export const pagerduty: Sender = {
  verify: verifyOwnSignature((delivery, { secrets }, options) => {
    const header = headerOf(delivery.headers, SIGNATURE);
    if (header === undefined) return refuse(401, `${SIGNATURE} is missing`);
    const presented = header.split(',').map((part) => part.trim());
    const v1 = presented.filter((part) => part.startsWith('v1=')).map((part) => part.slice(3));
    return bySignature(delivery, { name: SIGNATURE, presented: v1, secrets }, options);
  }),
  parse(body, _headers, { source }) {
    const type = read(eventBody, body).event.event_type;
    if (type !== RESOLVED && !FIRING.has(type)) return [];
    const { data } = read(incidentBody, body).event;
    const priority = data.priority?.summary;
    const alert = toAlert({
      source,
      fingerprint: data.id,
      // Events may overtake each other; the incident in them is as it was when they were made.
      status: type === RESOLVED || data.status === 'resolved' ? 'resolved' : 'firing',
      startsAt: data.created_at,
      severity: priority || data.urgency,
      title: data.title,
      labels: {
        event: type,
        incident: data.id,
        incident_key: data.incident_key,
        service: data.service?.summary,
        service_id: data.service?.id,
        urgency: data.urgency,
        priority,
        escalation_policy: data.escalation_policy?.summary,
      },
      link: data.html_url,
    });
    return [alert];
  },
};
