import { stripe } from '../../../src/alerts/senders/stripe';
import { stripeBody } from './bodies';
import { delivery, itBelievesOnlyProofs, NOW_SECONDS, OPTIONS, parseOne, parse, sign } from './support';

const header = (secret: string, body: Buffer, seconds = NOW_SECONDS) =>
  `t=${seconds},v1=${sign(secret, `${seconds}.`, body)}`;

describe('Stripe', () => {
  itBelievesOnlyProofs('its signature', {
    sender: stripe,
    auth: (secrets) => ({ kind: 'signature', secrets }),
    prove: (secret, body, seconds) => ({ 'stripe-signature': header(secret, body, seconds) }),
    header: 'stripe-signature',
    signed: true,
    timed: true,
  });

  it('believes one right signature of version 1 among several, under exactly one time', () => {
    const { body } = delivery(stripeBody);
    const verify = (signature: string) =>
      stripe.verify(
        delivery(body, { 'stripe-signature': signature }),
        { kind: 'signature', secrets: ['whsec_1', 'whsec_2'] },
        OPTIONS,
      ).ok;
    const right = sign('whsec_2', `${NOW_SECONDS}.`, body);
    const wrong = sign('whsec_9', `${NOW_SECONDS}.`, body);
    expect(verify(`t=${NOW_SECONDS},v1=${wrong},v1=${right},v0=${wrong}`)).toBe(true);
    expect(verify(`t=${NOW_SECONDS},v1=${wrong},v0=${right}`)).toBe(false);
    expect(verify(`t=${NOW_SECONDS},t=${NOW_SECONDS},v1=${right}`)).toBe(false);
    expect(verify(`v1=${right}`)).toBe(false);
    expect(verify(`t=${NOW_SECONDS}`)).toBe(false);
    // Signed without a time, as other senders do.
    expect(verify(`t=${NOW_SECONDS},v1=${sign('whsec_2', body)}`)).toBe(false);
  });

  it('reads an event, and nothing of the payment', () => {
    const alert = parseOne(stripe, stripeBody);
    expect(alert).toEqual({
      source: 'monitoring',
      fingerprint: 'payment_intent.payment_failed pi_3MtwBwLkdIwHu7ix28a3tqPa',
      startsAt: new Date(1_795_230_246_000).toISOString(),
      status: 'firing',
      severity: '',
      title: 'payment_intent.payment_failed pi_3MtwBwLkdIwHu7ix28a3tqPa',
      labels: {
        type: 'payment_intent.payment_failed',
        object: 'payment_intent',
        id: 'pi_3MtwBwLkdIwHu7ix28a3tqPa',
        livemode: 'true',
      },
      annotations: { event: 'evt_1NG8Du2eZvKYlo2CUI79vXWy', api_version: '2026-10-28.clover' },
      link: 'https://dashboard.stripe.com/events/evt_1NG8Du2eZvKYlo2CUI79vXWy',
    });
    expect(JSON.stringify(alert)).not.toMatch(/secret|declined|4711/);
  });

  it('says which mode and account it was', () => {
    const alert = parseOne(stripe, { ...stripeBody, livemode: false, account: 'acct_1' });
    expect(alert.labels).toMatchObject({ livemode: 'false', account: 'acct_1' });
    expect(alert.link).toBe('https://dashboard.stripe.com/test/events/evt_1NG8Du2eZvKYlo2CUI79vXWy');
  });

  it('links to no event whose ID is none', () => {
    for (const id of ['\ud800', '../../x', 'evt_1?a']) {
      expect(parseOne(stripe, { ...stripeBody, id }).link).toBeNull();
    }
  });

  it('reads events about what has no ID, and thin events', () => {
    const balance = { ...stripeBody, type: 'balance.available', data: { object: { object: 'balance' } } };
    expect(parseOne(stripe, balance)).toMatchObject({
      fingerprint: 'balance.available balance',
      title: 'balance.available',
    });
    const thin = {
      id: 'evt_2',
      object: 'v2.core.event',
      type: 'v1.billing.meter.error_report_triggered',
      created: '2026-11-21T03:04:06.000Z',
      livemode: true,
      related_object: { id: 'mtr_1', type: 'billing.meter', url: '/v1/billing/meters/mtr_1' },
    };
    expect(parseOne(stripe, thin)).toMatchObject({
      fingerprint: 'v1.billing.meter.error_report_triggered mtr_1',
      startsAt: '2026-11-21T03:04:06.000Z',
      labels: { object: 'billing.meter', id: 'mtr_1' },
    });
  });

  it.each([
    [{ ...stripeBody, type: undefined }, 'type: got nothing, wanted a text'],
    [{ ...stripeBody, id: {} }, 'id: got an object, wanted a text'],
    [{ ...stripeBody, created: 'today' }, 'created: got "today", wanted an ISO or Unix time'],
    [{ ...stripeBody, data: { object: [] } }, 'data.object: got an array of 0, wanted an object'],
  ])('names the field that is wrong in %j', (body, message) => {
    expect(() => parse(stripe, body)).toThrow(message);
  });
});
