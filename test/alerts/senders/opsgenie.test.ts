import { opsgenie } from '../../../src/alerts/senders/opsgenie';
import { opsgenieBody } from './bodies';
import { basic, bearer, itBelievesOnlyProofs, ownHeader, parse, parseOne } from './support';

describe('Opsgenie', () => {
  itBelievesOnlyProofs('a secret in a header', ownHeader(opsgenie));
  itBelievesOnlyProofs('a bearer token', bearer(opsgenie));
  itBelievesOnlyProofs('a user name and a password', basic(opsgenie));

  it('reads an alert with its tags and details as labels, and without the secret among them', () => {
    expect(parseOne(opsgenie, opsgenieBody)).toEqual({
      source: 'monitoring',
      fingerprint: 'booking/error-rate',
      startsAt: new Date(1_795_230_246_104).toISOString(),
      status: 'firing',
      severity: 'p1',
      title: 'Error rate of booking above 5 %',
      labels: {
        action: 'Create',
        priority: 'P1',
        entity: 'booking',
        integration: 'Runbooks',
        tinyId: '23',
        environment: 'production',
        tags: 'api,OverwritesQuietHours',
        region: 'eu-central-1',
      },
      annotations: { description: 'See the dashboard.' },
      link: null,
    });
  });

  it.each([
    ['Create', 'firing'],
    ['Acknowledge', 'firing'],
    ['UnAcknowledge', 'firing'],
    ['Escalate', 'firing'],
    ['Close', 'resolved'],
    ['Delete', 'resolved'],
  ])('takes %s for %s, always as the same episode', (action, status) => {
    const { fingerprint, startsAt } = parseOne(opsgenie, opsgenieBody);
    expect(parseOne(opsgenie, { ...opsgenieBody, action })).toMatchObject({ fingerprint, startsAt, status });
  });

  it('identifies an alert without an alias by its ID', () => {
    const alert = { ...opsgenieBody.alert, alias: '', tags: null, details: null };
    expect(parseOne(opsgenie, { ...opsgenieBody, alert }).fingerprint).toBe(opsgenieBody.alert.alertId);
  });

  it('does not let tags and details name labels that are ours', () => {
    const alert = { ...opsgenieBody.alert, tags: ['action:Close'], details: { priority: 'P5' } };
    expect(parseOne(opsgenie, { ...opsgenieBody, alert }).labels).toMatchObject({
      action: 'Create',
      priority: 'P1',
    });
  });

  it.each(['AddNote', 'AddTags', 'AssignOwnership', 'TestAction', 'toString'])(
    'takes %s for no alert',
    (action) => {
      expect(parse(opsgenie, { action })).toEqual([]);
    },
  );

  it.each([
    [{}, 'action: got nothing, wanted a text'],
    [{ action: 'Create' }, 'alert: got nothing, wanted an object'],
    [{ action: 'Close', alert: { alertId: null } }, 'alert.alertId: got null, wanted a text'],
    [
      { ...opsgenieBody, alert: { ...opsgenieBody.alert, createdAt: 'soon' } },
      'alert.createdAt: got "soon", wanted an ISO or Unix time',
    ],
  ])('names the field that is wrong in %j', (body, message) => {
    expect(() => parse(opsgenie, body)).toThrow(message);
  });
});
