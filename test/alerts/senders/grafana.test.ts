import { grafana } from '../../../src/alerts/senders/grafana';
import { alertSourceSchema } from '../../../src/config/alert-schema';
import { grafanaAlert, grafanaBody } from './bodies';
import { basic, bearer, hmac, itBelievesOnlyProofs, parse, parseOne, timedHmac } from './support';

describe('Grafana', () => {
  itBelievesOnlyProofs('a bearer token', bearer(grafana));
  itBelievesOnlyProofs('a user name and a password', basic(grafana));
  itBelievesOnlyProofs('a signature', hmac(grafana));
  itBelievesOnlyProofs('a signature with a time', timedHmac(grafana));

  it('expects the signature in the header that Grafana uses unless told otherwise', () => {
    const source = alertSourceSchema.parse({ kind: 'grafana', auth: { kind: 'hmac', secrets: ['x'] } });
    expect(source.auth).toMatchObject({ header: 'X-Grafana-Alerting-Signature', prefix: '' });
  });

  it('reads a firing alert, with a link to the panel and its start in UTC', () => {
    expect(parseOne(grafana, grafanaBody)).toEqual({
      source: 'monitoring',
      fingerprint: 'c1b7a1f4d0e2f3a4',
      startsAt: '2026-11-21T03:04:10.000Z',
      status: 'firing',
      severity: 'critical',
      title: '47 of 50 connections of booking are in use',
      labels: grafanaAlert.labels,
      annotations: { ...grafanaAlert.annotations, valueString: grafanaAlert.valueString },
      link: grafanaAlert.panelURL,
    });
  });

  it('reads several alerts, firing and resolved', () => {
    const resolved = {
      ...grafanaAlert,
      status: 'resolved',
      fingerprint: 'ffff',
      valueString: '',
      values: null,
    };
    const alerts = parse(grafana, { ...grafanaBody, alerts: [grafanaAlert, resolved] });
    expect(alerts.map(({ fingerprint, status }) => [fingerprint, status])).toEqual([
      ['c1b7a1f4d0e2f3a4', 'firing'],
      ['ffff', 'resolved'],
    ]);
  });

  it('links to the dashboard, the rule, or Grafana where there is nothing nearer', () => {
    const linkWithout = (...fields: string[]) =>
      parseOne(grafana, {
        ...grafanaBody,
        alerts: [{ ...grafanaAlert, ...Object.fromEntries(fields.map((field) => [field, ''])) }],
      }).link;
    expect(linkWithout('panelURL')).toBe(grafanaAlert.dashboardURL);
    expect(linkWithout('panelURL', 'dashboardURL')).toBe(grafanaAlert.generatorURL);
    expect(linkWithout('panelURL', 'dashboardURL', 'generatorURL')).toBe(grafanaBody.externalURL);
  });

  it('takes the test notification of a contact point for no alert', () => {
    const test = { ...grafanaAlert, labels: { alertname: 'TestAlert', instance: 'Grafana' } };
    expect(parse(grafana, { ...grafanaBody, alerts: [test] })).toEqual([]);
    expect(parse(grafana, { ...grafanaBody, alerts: [test, grafanaAlert] })).toHaveLength(1);
  });

  it('names a field that is wrong', () => {
    expect(() => parse(grafana, { ...grafanaBody, alerts: [{ ...grafanaAlert, panelURL: [] }] })).toThrow(
      'alerts[0].panelURL: got an array of 0, wanted a text',
    );
  });
});
