import { bySignature, headerOf, refuse, verifyOwnSignature } from '../authenticate';
import { toAlert } from '../normal-form';
import type { Sender } from '../sender';
import { object, optionalText, read, text, time } from './fields';

const SIGNATURE = 'Stripe-Signature';

/**
 * Stripe webhooks. `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>]` signs `t.body`. Stripe's own library refuses old
 * times only; here one from the future is refused as well. A retry is signed anew.
 */
export const stripe: Sender = {
  verify: verifyOwnSignature((delivery, { secrets }, options) => {
    const header = headerOf(delivery.headers, SIGNATURE);
    if (header === undefined) return refuse(401, `${SIGNATURE} is missing`);
    const parts = header.split(',').map((part) => part.trim());
    const valuesOf = (key: string) =>
      parts.filter((part) => part.startsWith(`${key}=`)).map((part) => part.slice(key.length + 1));
    const [seconds, ...others] = valuesOf('t');
    if (seconds === undefined || others.length > 0) return refuse(401, `${SIGNATURE} has not exactly one t=`);
    const signature = { name: SIGNATURE, presented: valuesOf('v1'), secrets };
    return bySignature(delivery, { ...signature, time: { seconds, signedAs: `${seconds}.` } }, options);
  }),
  parse(body, _headers, { source }) {
    const event = read(eventBody, body);
    // Thin events name their object instead of holding it.
    const subject = event.data?.object ?? event.related_object ?? {};
    const kind = event.data?.object?.object ?? event.related_object?.type;
    const { type, livemode, account } = event;
    const alert = toAlert({
      source,
      // Some objects have no ID, e.g. a balance.
      fingerprint: `${type} ${subject.id || kind || account || 'account'}`,
      status: 'firing',
      startsAt: event.created,
      title: subject.id ? `${type} ${subject.id}` : type,
      labels: { type, object: kind, id: subject.id, livemode, account },
      annotations: { event: event.id, api_version: event.api_version },
      link: linkTo(event.id, livemode),
    });
    return [alert];
  },
};

const eventBody = object({
  id: text,
  type: text,
  created: time,
  livemode: optionalText,
  account: optionalText,
  api_version: optionalText,
  data: object({ object: object({ id: optionalText, object: optionalText }).nullish() }).nullish(),
  related_object: object({ id: optionalText, type: optionalText }).nullish(),
});

function linkTo(event: string, livemode: string | null | undefined): string | null {
  if (!/^\w+$/.test(event)) return null;
  return `https://dashboard.stripe.com/${livemode === 'false' ? 'test/' : ''}events/${event}`;
}
