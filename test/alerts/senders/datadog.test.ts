import { datadog } from '../../../src/alerts/senders/datadog';
import { datadogBody } from './bodies';
import { basic, bearer, itBelievesOnlyProofs, ownHeader, parse, parseOne } from './support';

describe('Datadog', () => {
  itBelievesOnlyProofs('a secret in a header', ownHeader(datadog));
  itBelievesOnlyProofs('a bearer token', bearer(datadog));
  itBelievesOnlyProofs('a user name and a password', basic(datadog));

  it('reads an alert with its tags and scope as labels', () => {
    expect(parseOne(datadog, datadogBody)).toEqual({
      source: 'monitoring',
      fingerprint: 'e59bd4ac313a4d1e8fae2482df7b7762',
      startsAt: null,
      status: 'firing',
      severity: 'p1',
      title: '[Triggered on {service:booking}] Error rate is high',
      labels: {
        monitor: '1234567',
        transition: 'Triggered',
        scope: 'service:booking,host:web-2',
        type: 'error',
        cycle: '9bd4ac313a4d1e8fae2482df7b77628',
        tags: 'monitor',
        env: 'production',
        service: 'booking',
        host: 'web-2',
      },
      annotations: {
        body: '%%%\nThe error rate is **7.3 %**.\n%%%',
        event: '6421897532130',
        date: new Date(1_795_230_246_000).toISOString(),
      },
      link: datadogBody.link,
    });
  });

  it.each([
    ['Triggered', 'firing'],
    ['Re-Triggered', 'firing'],
    ['No Data', 'firing'],
    ['Warn', 'firing'],
    ['Renotify', 'firing'],
    ['Recovered', 'resolved'],
  ])('takes %s for %s of the same problem', (alert_transition, status) => {
    const { fingerprint } = parseOne(datadog, datadogBody);
    expect(parseOne(datadog, { ...datadogBody, alert_transition })).toMatchObject({ status, fingerprint });
  });

  it('takes what is not about the state of a monitor for no alert', () => {
    for (const alert_transition of ['', 'Null', null, '$ALERT_TRANSITION']) {
      expect(parse(datadog, { ...datadogBody, alert_transition })).toEqual([]);
    }
  });

  it('identifies an alert by the best key that has a value', () => {
    const fingerprintOf = (keys: object) =>
      parseOne(datadog, { alert_transition: 'Warn', ...keys }).fingerprint;
    expect(fingerprintOf({ aggreg_key: '', alert_id: 12, alert_scope: 'host:a' })).toBe('12/host:a');
    expect(fingerprintOf({ aggreg_key: '$AGGREG_KEY', alert_id: '12', alert_scope: 'null' })).toBe('12');
    expect(fingerprintOf({ alert_cycle_key: 'abc', id: '1' })).toBe('abc');
    expect(fingerprintOf({ id: '1' })).toBe('1');
  });

  it('has the type for a severity where the monitor has no priority', () => {
    expect(parseOne(datadog, { ...datadogBody, priority: '' }).severity).toBe('error');
  });

  it.each([
    [{}, 'alert_transition: got nothing, wanted "$ALERT_TRANSITION" in the payload'],
    [{ alert_transition: 'Triggered', title: 'x' }, 'aggreg_key: got nothing, wanted it or alert_id'],
    [{ ...datadogBody, tags: ['a:b'] }, 'tags: got an array of 1, wanted a text'],
    ['payload=x', 'body: got "payload=x", wanted an object'],
  ])('names what is wrong in %j', (body, message) => {
    expect(() => parse(datadog, JSON.stringify(body))).toThrow(message);
  });
});
