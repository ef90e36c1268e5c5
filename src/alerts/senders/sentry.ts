import { z } from 'zod';
import type { Alert } from '../../contract/alert';
import { bySignature, headerOf, refuse, verifyOwnSignature } from '../authenticate';
import { toAlert, type RawAlert } from '../normal-form';
import type { Sender } from '../sender';
import { member, object, oneOf, optionalText, read, text, time, withOthers } from './fields';

const SIGNATURE = 'Sentry-Hook-Signature';

/**
 * Sentry integrations. `Sentry-Hook-Timestamp` and `Request-ID` are not signed, so a replay can change both: what is
 * remembered is the body. An issue begins once and comes back again and again, therefore its alerts have no start.
 */
export const sentry: Sender = {
  verify: verifyOwnSignature((delivery, auth, options) => {
    const signature = headerOf(delivery.headers, SIGNATURE);
    if (signature === undefined) return refuse(401, `${SIGNATURE} is missing`);
    const { secrets } = auth;
    return bySignature(delivery, { name: SIGNATURE, presented: [signature], secrets }, options);
  }),
  parse(body, headers, { source }) {
    switch (headerOf(headers, 'sentry-hook-resource')) {
      case 'event_alert': {
        const { event, triggered_rule: rule } = read(eventAlertBody, body).data;
        return [ofEvent(event, { resource: 'event_alert', rule }, source)];
      }
      case 'error':
        return [ofEvent(read(errorBody, body).data.error, { resource: 'error' }, source)];
      case 'issue':
        return parseIssue(body, source);
      case 'metric_alert':
        return [parseMetricAlert(body, source)];
      default:
        // installation, comment, seer, ...
        return [];
    }
  },
};

const eventSchema = object({
  issue_id: text,
  event_id: optionalText,
  title: optionalText,
  message: optionalText,
  culprit: optionalText,
  level: optionalText,
  environment: optionalText,
  release: optionalText,
  project: optionalText,
  web_url: optionalText,
  tags: z.unknown(),
});
const eventAlertBody = object({ data: object({ event: eventSchema, triggered_rule: optionalText }) });
const errorBody = object({ data: object({ error: eventSchema }) });

function ofEvent(
  event: z.output<typeof eventSchema>,
  about: { resource: string; rule?: string | null },
  source: string,
): Alert {
  const { level, environment, release, project } = event;
  return toAlert({
    source,
    fingerprint: `issue-${event.issue_id}`,
    status: 'firing',
    severity: level,
    title: event.title || event.message,
    labels: withOthers(
      { ...about, issue: event.issue_id, level, environment, release, project },
      tagsOf(event.tags),
    ),
    annotations: { culprit: event.culprit, event: event.event_id },
    link: event.web_url,
  });
}

/** Pairs in an array; the tag `user` names a person and is left out. */
function tagsOf(tags: unknown): Record<string, string> {
  const pairs = (Array.isArray(tags) ? tags : []).map((tag): [unknown, unknown] => [
    member(tag, 0) ?? member(tag, 'key'),
    member(tag, 1) ?? member(tag, 'value'),
  ]);
  const kept = pairs.filter(
    (pair): pair is [string, string] =>
      pair.every((part) => typeof part === 'string') && !/^user(\.|$)/.test(pair[0] as string),
  );
  return Object.fromEntries(kept);
}

const issueBody = object({
  action: text,
  data: object({
    issue: object({
      id: text,
      title: optionalText,
      culprit: optionalText,
      level: optionalText,
      shortId: optionalText,
      substatus: optionalText,
      permalink: optionalText,
      web_url: optionalText,
      project: object({ slug: optionalText }).nullish(),
    }),
  }),
});

const ISSUE_STATUS: Partial<Record<string, RawAlert['status']>> = {
  created: 'firing',
  unresolved: 'firing',
  resolved: 'resolved',
  archived: 'resolved',
  ignored: 'resolved',
};

function parseIssue(body: unknown, source: string): Alert[] {
  const { action, data } = read(issueBody, body);
  const status = Object.hasOwn(ISSUE_STATUS, action) ? ISSUE_STATUS[action] : undefined;
  // Assigned to somebody, and what else may come: the problem is as it was.
  if (status === undefined) return [];
  const { issue } = data;
  const { level, substatus } = issue;
  const alert = toAlert({
    source,
    fingerprint: `issue-${issue.id}`,
    status,
    severity: level,
    title: issue.title,
    labels: {
      resource: 'issue',
      action,
      issue: issue.id,
      shortId: issue.shortId,
      level,
      substatus,
      project: issue.project?.slug,
    },
    annotations: { culprit: issue.culprit },
    link: issue.web_url || issue.permalink,
  });
  return [alert];
}

const metricAlertBody = object({
  action: oneOf('critical', 'warning', 'resolved'),
  data: object({
    metric_alert: object({
      date_started: time,
      identifier: optionalText,
      projects: z.array(z.string()).nullish().catch(null),
      alert_rule: object({ id: text, name: optionalText, environment: optionalText }),
    }),
    description_title: optionalText,
    description_text: optionalText,
    web_url: optionalText,
  }),
});

function parseMetricAlert(body: unknown, source: string): Alert {
  const { action, data } = read(metricAlertBody, body);
  const { alert_rule: rule, date_started: startsAt, identifier, projects } = data.metric_alert;
  return toAlert({
    source,
    fingerprint: `metric-alert-${rule.id}`,
    status: action === 'resolved' ? 'resolved' : 'firing',
    startsAt,
    severity: action === 'resolved' ? '' : action,
    title: data.description_title || rule.name,
    labels: {
      resource: 'metric_alert',
      action,
      rule: rule.name,
      environment: rule.environment,
      incident: identifier,
      project: projects?.join(','),
    },
    annotations: { description: data.description_text },
    link: data.web_url,
  });
}
