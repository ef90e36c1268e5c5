import { z } from 'zod';
import { verifyAsConfigured } from '../authenticate';
import { toAlert, type RawAlert } from '../normal-form';
import type { Sender } from '../sender';
import { labelsOfTags, object, optionalText, read, text, texts, time, withOthers } from './fields';

/** Notes, tags, owners and test actions are no alerts. */
const STATUS: Partial<Record<string, RawAlert['status']>> = {
  Create: 'firing',
  Acknowledge: 'firing',
  UnAcknowledge: 'firing',
  Escalate: 'firing',
  Close: 'resolved',
  Delete: 'resolved',
};

const actionBody = object({ action: text });
const alertBody = object({
  action: text,
  integrationName: optionalText,
  alert: object({
    alertId: text,
    alias: optionalText,
    tinyId: optionalText,
    message: optionalText,
    description: optionalText,
    entity: optionalText,
    priority: optionalText,
    createdAt: time,
    tags: z.array(z.string()).nullish().catch(null),
    details: texts.catch({}),
  }),
});

/** Opsgenie webhook integration. It does not sign; a header of its own proves who it is. */
export const opsgenie: Sender = {
  verify: verifyAsConfigured,
  parse(body, _headers, { source }) {
    const { action } = read(actionBody, body);
    const status = Object.hasOwn(STATUS, action) ? STATUS[action] : undefined;
    if (status === undefined) return [];
    const { alert, integrationName } = read(alertBody, body);
    const normal = toAlert({
      source,
      // Opsgenie's own key for "the same problem"; where nobody set one it is the alert's ID.
      fingerprint: alert.alias || alert.alertId,
      status,
      startsAt: alert.createdAt,
      severity: alert.priority,
      title: alert.message,
      labels: withOthers(
        {
          action,
          priority: alert.priority,
          entity: alert.entity,
          integration: integrationName,
          tinyId: alert.tinyId,
        },
        { ...labelsOfTags(alert.tags ?? []), ...alert.details },
      ),
      annotations: { description: alert.description },
    });
    return [normal];
  },
};
