import { alertmanager } from '../../../src/alerts/senders/alertmanager';
import { alertmanagerBody, poolAlert } from './bodies';
import { basic, bearer, itBelievesOnlyProofs, parse, parseOne } from './support';

const bodyOf = (...alerts: unknown[]) => ({ ...alertmanagerBody, alerts });

describe('Alertmanager', () => {
  itBelievesOnlyProofs('a bearer token', bearer(alertmanager));
  itBelievesOnlyProofs('a user name and a password', basic(alertmanager));

  it('reads a firing alert', () => {
    expect(parseOne(alertmanager, alertmanagerBody)).toEqual({
      source: 'monitoring',
      fingerprint: 'c1b7a1f4d0e2f3a4',
      startsAt: '2026-11-21T03:04:05.123Z',
      status: 'firing',
      severity: 'critical',
      title: '47 of 50 connections of booking are in use',
      labels: poolAlert.labels,
      annotations: poolAlert.annotations,
      link: poolAlert.generatorURL,
    });
  });

  it('reads each alert of a group with its own status', () => {
    const other = { ...poolAlert, status: 'resolved', fingerprint: 'ffff', labels: { alertname: 'Other' } };
    const alerts = parse(alertmanager, { ...bodyOf(poolAlert, other), status: 'firing' });
    expect(alerts.map(({ fingerprint, status }) => [fingerprint, status])).toEqual([
      ['c1b7a1f4d0e2f3a4', 'firing'],
      ['ffff', 'resolved'],
    ]);
    expect(parse(alertmanager, bodyOf())).toEqual([]);
  });

  it('gives firing and resolved of one episode the same identity', () => {
    const [firing] = parse(alertmanager, alertmanagerBody);
    const [resolved] = parse(alertmanager, bodyOf({ ...poolAlert, status: 'resolved' }));
    expect(resolved).toEqual({ ...firing, status: 'resolved' });
  });

  it('identifies an alert by its labels where a person left the fingerprint out', () => {
    const { fingerprint: _, ...alert } = poolAlert;
    const turned = { ...alert, labels: Object.fromEntries(Object.entries(alert.labels).reverse()) };
    const [one, same, other] = [alert, turned, { ...alert, labels: { alertname: 'Other' } }].map(
      (each) => parseOne(alertmanager, bodyOf(each)).fingerprint,
    );
    expect(one).toMatch(/^[0-9a-f]{16}$/);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    expect(() => parse(alertmanager, bodyOf(poolAlert, { status: 'firing', fingerprint: '' }))).toThrow(
      'alerts[1].fingerprint: got "", wanted a fingerprint, or labels',
    );
  });

  it('says when Alertmanager has left alerts out', () => {
    const { annotations } = parseOne(alertmanager, { ...alertmanagerBody, truncatedAlerts: 3 });
    expect(annotations['truncatedAlerts']).toBe('3');
  });

  it.each([
    [[], 'body: got an array of 0, wanted an object'],
    [null, 'body: got null, wanted an object'],
    [{}, 'alerts: got nothing, wanted an array'],
    [{ alerts: {} }, 'alerts: got an object, wanted an array'],
    [bodyOf('x'), 'alerts[0]: got "x", wanted an object'],
    [
      bodyOf(poolAlert, { ...poolAlert, status: 'suppressed' }),
      'alerts[1].status: got "suppressed", wanted "firing" or "resolved"',
    ],
    [
      bodyOf({ ...poolAlert, status: undefined }),
      'alerts[0].status: got nothing, wanted "firing" or "resolved"',
    ],
    [
      bodyOf({ ...poolAlert, startsAt: 'yesterday' }),
      'alerts[0].startsAt: got "yesterday", wanted an ISO or Unix time',
    ],
    [bodyOf({ ...poolAlert, startsAt: {} }), 'alerts[0].startsAt: got an object, wanted a time'],
    [
      bodyOf({ ...poolAlert, labels: ['x'] }),
      'alerts[0].labels: got an array of 1, wanted an object of texts',
    ],
    [
      bodyOf({ ...poolAlert, labels: { service: { name: 'booking' } } }),
      'alerts[0].labels.service: got an object, wanted a text',
    ],
    [
      bodyOf(...Array.from({ length: 5 }, () => ({ labels: {} }))),
      /alerts\[2\]\.status: got nothing.*; and 2 more$/,
    ],
    [
      bodyOf(...Array.from({ length: 5_001 }, () => poolAlert)),
      'alerts: got an array of 5001, wanted at most 5000 alerts in one delivery',
    ],
  ])('refuses %j and says why', (body, message) => {
    expect(() => parse(alertmanager, body)).toThrow(
      expect.objectContaining({
        name: 'BadAlert',
        status: 400,
        message: expect.stringMatching(message instanceof RegExp ? message : new RegExp(escape(message))),
      }),
    );
  });
});

const escape = (text: string) => `^${text.replace(/[[\]().$]/g, '\\$&')}$`;
