import { verifyAsConfigured } from '../authenticate';
import { toAlert } from '../normal-form';
import { BadAlert, type Sender } from '../sender';
import { labelsOfTags, object, optionalText, read, withOthers } from './fields';
import { isoTime } from '../time';

/**
 * Datadog webhooks. The body is what one writes into the integration's "Payload"; this is the one to write:
 *
 *     { "id": "$ID", "alert_id": "$ALERT_ID", "alert_cycle_key": "$ALERT_CYCLE_KEY", "aggreg_key": "$AGGREG_KEY",
 *       "alert_transition": "$ALERT_TRANSITION", "alert_scope": "$ALERT_SCOPE", "alert_type": "$ALERT_TYPE",
 *       "title": "$EVENT_TITLE", "body": "$EVENT_MSG", "priority": "$ALERT_PRIORITY", "tags": "$TAGS",
 *       "link": "$LINK", "date": "$DATE" }
 *
 * Needed are `alert_transition` and one of `aggreg_key`, `alert_id`, `alert_cycle_key`, `id`. It does not sign; a
 * custom header or a password proves who it is. `date` is that of the notification, so its alerts have no start.
 */
export const datadog: Sender = {
  verify: verifyAsConfigured,
  parse(body, _headers, { source }) {
    const said = read(payload, body);
    const transition = known(said.alert_transition);
    // A notification that is not about a monitor's state.
    if (said.alert_transition !== undefined && transition === undefined) return [];
    if (transition === undefined) {
      throw new BadAlert('alert_transition: got nothing, wanted "$ALERT_TRANSITION" in the payload');
    }
    const scope = known(said.alert_scope);
    const [tags, scopes] = [known(said.tags), scope].map((text) => labelsOfTags(text?.split(',') ?? []));
    const alert = toAlert({
      source,
      fingerprint: fingerprintOf(said),
      status: /recovered$/i.test(transition) ? 'resolved' : 'firing',
      severity: known(said.priority) ?? known(said.alert_type),
      title: known(said.title),
      labels: withOthers(
        {
          monitor: known(said.alert_id),
          transition,
          scope,
          type: known(said.alert_type),
          cycle: known(said.alert_cycle_key),
        },
        { ...tags, ...scopes },
      ),
      annotations: { body: known(said.body), event: known(said.id), date: dateOf(known(said.date)) },
      link: known(said.link),
    });
    return [alert];
  },
};

const payload = object({
  id: optionalText,
  alert_id: optionalText,
  alert_cycle_key: optionalText,
  aggreg_key: optionalText,
  alert_transition: optionalText,
  alert_scope: optionalText,
  alert_type: optionalText,
  title: optionalText,
  body: optionalText,
  priority: optionalText,
  tags: optionalText,
  link: optionalText,
  date: optionalText,
});

/** What stays over the cycles of a monitor's group, before what is new with each. */
function fingerprintOf(said: Record<string, string | null | undefined>): string {
  const monitor = known(said['alert_id']);
  const scope = known(said['alert_scope']);
  const fingerprint =
    known(said['aggreg_key']) ??
    (monitor === undefined ? undefined : `${monitor}${scope === undefined ? '' : `/${scope}`}`) ??
    known(said['alert_cycle_key']) ??
    known(said['id']);
  if (fingerprint !== undefined) return fingerprint;
  throw new BadAlert('aggreg_key: got nothing, wanted it or alert_id, alert_cycle_key or id in the payload');
}

/** Datadog leaves variables that have no value empty, as "null", or as they were written. */
function known(value: string | null | undefined): string | undefined {
  const text = value?.trim();
  return !text || /^(null|\$[A-Z_]+)$/i.test(text) ? undefined : text;
}

function dateOf(date: string | undefined): string | undefined {
  return date === undefined ? undefined : (isoTime(date) ?? date);
}
