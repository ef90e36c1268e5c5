import { sentry } from '../../../src/alerts/senders/sentry';
import { sentryError, sentryEventAlert, sentryIssue, sentryMetricAlert } from './sentry-bodies';
import { itBelievesOnlyProofs, parse, parseOne, sign } from './support';

const of = (resource: string) => ({ 'sentry-hook-resource': resource });

describe('Sentry', () => {
  itBelievesOnlyProofs('its signature', {
    sender: sentry,
    auth: (secrets) => ({ kind: 'signature', secrets }),
    prove: (secret, body) => ({ 'sentry-hook-signature': sign(secret, body) }),
    header: 'sentry-hook-signature',
    signed: true,
  });

  it('reads an issue alert, and nothing of the guest to whom the error happened', () => {
    const alert = parseOne(sentry, sentryEventAlert, of('event_alert'));
    expect(alert).toEqual({
      source: 'monitoring',
      fingerprint: 'issue-1170820242',
      startsAt: null,
      status: 'firing',
      severity: 'error',
      title: 'SequelizeConnectionAcquireTimeoutError: Operation timeout',
      labels: {
        resource: 'event_alert',
        rule: 'Errors of the booking API',
        issue: '1170820242',
        level: 'error',
        environment: 'production',
        release: 'booking@2026.11.20-3',
        project: '1',
        server_name: 'web-2',
        transaction: 'POST /api/bookings',
      },
      annotations: { culprit: 'POST /api/bookings', event: 'e4874d664c3540c1a32eab185f12c5ab' },
      link: sentryEventAlert.data.event.web_url,
    });
    expect(JSON.stringify(alert)).not.toMatch(/guest@example|203\.0\.113|of-a-guest/);
  });

  it('does not let an application name labels that are ours', () => {
    const event = {
      ...sentryEventAlert.data.event,
      tags: [
        ['resource', 'metric_alert'],
        ['issue', '1'],
        { key: 'zone', value: 'b' },
        ['odd'],
        [1, 2],
        null,
        'x',
      ],
    };
    const { labels } = parseOne(sentry, { ...sentryEventAlert, data: { event } }, of('event_alert'));
    expect(labels).toMatchObject({ resource: 'event_alert', issue: '1170820242', zone: 'b' });
    expect(Object.keys(labels)).toHaveLength(7);
  });

  it('reads an error, an issue alert and an issue as the same problem', () => {
    const fingerprints = [
      parseOne(sentry, sentryError, of('error')),
      parseOne(sentry, sentryEventAlert, of('event_alert')),
      parseOne(sentry, sentryIssue, of('issue')),
    ].map(({ fingerprint }) => fingerprint);
    expect(new Set(fingerprints)).toEqual(new Set(['issue-1170820242']));
  });

  it.each([
    ['created', 'firing'],
    ['unresolved', 'firing'],
    ['resolved', 'resolved'],
    ['archived', 'resolved'],
    ['ignored', 'resolved'],
  ])('takes an issue that was %s for %s', (action, status) => {
    expect(parseOne(sentry, { ...sentryIssue, action }, of('issue'))).toMatchObject({
      status,
      severity: 'error',
      link: 'https://acme.sentry.io/issues/1170820242/',
      labels: { action, project: 'booking', shortId: 'BOOKING-9' },
    });
  });

  it('reads a metric alert with its start, and its end as the end of the same episode', () => {
    const alert = parseOne(sentry, sentryMetricAlert, of('metric_alert'));
    expect(alert).toMatchObject({
      fingerprint: 'metric-alert-7',
      startsAt: '2026-11-21T03:00:00.000Z',
      status: 'firing',
      severity: 'critical',
      title: 'Critical: Too many errors',
      labels: { rule: 'Too many errors', project: 'booking', incident: '1' },
      annotations: { description: '1000 events in the last 10 minutes\nFilter: level:error' },
    });
    const { fingerprint, startsAt } = alert;
    const end = parseOne(sentry, { ...sentryMetricAlert, action: 'resolved' }, of('metric_alert'));
    expect(end).toMatchObject({ fingerprint, startsAt, status: 'resolved', severity: '' });
  });

  it('takes installations, comments, assignments and what it does not know for no alert', () => {
    for (const resource of ['installation', 'comment', 'seer', 'constructor', '']) {
      expect(parse(sentry, { action: 'created', data: {} }, of(resource))).toEqual([]);
    }
    expect(parse(sentry, {}, {})).toEqual([]);
    expect(parse(sentry, { ...sentryIssue, action: 'assigned' }, of('issue'))).toEqual([]);
    expect(parse(sentry, { ...sentryIssue, action: 'constructor' }, of('issue'))).toEqual([]);
  });

  it.each([
    ['event_alert', { data: {} }, 'data.event: got nothing, wanted an object'],
    ['event_alert', { data: { event: {} } }, 'data.event.issue_id: got nothing, wanted a text'],
    [
      'issue',
      { action: 'created', data: { issue: { id: ' ' } } },
      'got " ", wanted a text that is not empty',
    ],
    ['issue', { data: sentryIssue.data }, 'action: got nothing, wanted a text'],
    [
      'metric_alert',
      { ...sentryMetricAlert, action: 'open' },
      'action: got "open", wanted "critical" or "warning"',
    ],
    [
      'metric_alert',
      { action: 'critical', data: { metric_alert: 7 } },
      'data.metric_alert: got 7, wanted an object',
    ],
  ])('refuses a malformed %s and names the field', (resource, body, message) => {
    expect(() => parse(sentry, body, of(resource))).toThrow(message);
  });
});
