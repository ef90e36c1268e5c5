import { verifyAsConfigured } from '../authenticate';
import type { Sender } from '../sender';
import { parseGroup, type GroupedAlert } from './alertmanager';

/**
 * Grafana Alerting, webhook contact point. With an HMAC configure its timestamp header too, here and there: otherwise
 * nothing in the signature tells a repeated notification from a replayed one, and the second is left aside.
 */
export const grafana: Sender = {
  verify: verifyAsConfigured,
  parse: (body, _headers, { source }) => parseGroup(body, source, (alert) => !isTest(alert)),
};

/** What the button "Test" of a contact point sends. */
function isTest({ labels }: GroupedAlert): boolean {
  return labels['alertname'] === 'TestAlert' && labels['instance'] === 'Grafana';
}
