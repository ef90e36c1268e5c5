import type { Sender, SenderKind } from '../sender';
import { alertmanager } from './alertmanager';
import { datadog } from './datadog';
import { generic } from './generic';
import { github } from './github';
import { grafana } from './grafana';
import { opsgenie } from './opsgenie';
import { pagerduty } from './pagerduty';
import { sentry } from './sentry';
import { stripe } from './stripe';

/** Every sender by its kind in the configuration. */
export const senders: Record<SenderKind, Sender> = {
  alertmanager,
  datadog,
  generic,
  github,
  grafana,
  opsgenie,
  pagerduty,
  sentry,
  stripe,
};
