import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Alert } from '../../contract/alert';
import { verifyAsConfigured } from '../authenticate';
import { toAlert } from '../normal-form';
import { BadAlert, type Sender } from '../sender';
import { list, object, oneOf, optionalText, problem, read, texts, time } from './fields';

const alertSchema = object({
  status: oneOf('firing', 'resolved'),
  labels: texts,
  annotations: texts,
  startsAt: time,
  generatorURL: optionalText,
  fingerprint: optionalText,
  // Grafana's
  dashboardURL: optionalText,
  panelURL: optionalText,
  valueString: optionalText,
});
const groupSchema = object({
  alerts: list(alertSchema),
  externalURL: optionalText,
  truncatedAlerts: z.number().nullish().catch(null),
});

export type GroupedAlert = z.output<typeof alertSchema>;

/**
 * Prometheus Alertmanager, webhook body version 4. It does not sign; a bearer token or a password proves who it is,
 * and the same body rightly comes again at every repeat interval.
 */
export const alertmanager: Sender = {
  verify: verifyAsConfigured,
  parse: (body, _headers, { source }) => parseGroup(body, source),
};

/** The body that Alertmanager and Grafana have in common: a group of alerts. Throws `BadAlert`. */
export function parseGroup(
  body: unknown,
  source: string,
  isAlert: (alert: GroupedAlert) => boolean = () => true,
): Alert[] {
  const group = read(groupSchema, body);
  const truncated = group.truncatedAlerts ? { truncatedAlerts: String(group.truncatedAlerts) } : {};
  return group.alerts.flatMap((alert, at) => {
    if (!isAlert(alert)) return [];
    const { labels, annotations } = alert;
    const fingerprint = alert.fingerprint || fingerprintOf(labels);
    if (fingerprint === null) {
      throw new BadAlert(problem(['alerts', at, 'fingerprint'], body, 'a fingerprint, or labels'));
    }
    return toAlert({
      source,
      fingerprint,
      status: alert.status,
      startsAt: alert.startsAt,
      severity: labels['severity'],
      title: annotations['summary'] || annotations['title'] || annotations['message'] || labels['alertname'],
      labels,
      annotations: { ...annotations, valueString: alert.valueString, ...truncated },
      link: alert.panelURL || alert.dashboardURL || alert.generatorURL || group.externalURL,
    });
  });
}

/** For bodies that people post by hand: the labels identify an alert. */
function fingerprintOf(labels: Record<string, unknown>): string | null {
  const pairs = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
  if (pairs.length === 0) return null;
  return createHash('sha256').update(JSON.stringify(pairs)).digest('hex').slice(0, 16);
}
