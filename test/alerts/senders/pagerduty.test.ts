import { pagerduty } from '../../../src/alerts/senders/pagerduty';
import { pagerdutyBody } from './bodies';
import { delivery, itBelievesOnlyProofs, OPTIONS, parse, parseOne, sign } from './support';

const eventOf = (event_type: string, data: object = {}) => ({
  event: { ...pagerdutyBody.event, event_type, data: { ...pagerdutyBody.event.data, ...data } },
});

describe('PagerDuty', () => {
  itBelievesOnlyProofs('its signature', {
    sender: pagerduty,
    auth: (secrets) => ({ kind: 'signature', secrets }),
    prove: (secret, body) => ({ 'x-pagerduty-signature': `v1=${sign(secret, body)}` }),
    header: 'x-pagerduty-signature',
    signed: true,
    list: true,
  });

  it('believes one right signature among several, and only of version 1', () => {
    const { body } = delivery(pagerdutyBody);
    const right = sign('secret', body);
    const verify = (signature: string) =>
      pagerduty.verify(
        delivery(body, { 'x-pagerduty-signature': signature }),
        { kind: 'signature', secrets: ['secret'] },
        OPTIONS,
      ).ok;
    expect(verify(`v1=${sign('next', body)},v1=${right}`)).toBe(true);
    expect(verify(`v1=${right},v1=${sign('next', body)}`)).toBe(true);
    expect(verify(`v1=${sign('next', body)},v1=${sign('other', body)}`)).toBe(false);
    expect(verify(`v2=${right}`)).toBe(false);
    expect(verify(`v0=${right},v1=`)).toBe(false);
    expect(verify(right)).toBe(false);
    // Comparing takes time: what stands behind a long list of guesses is not looked at.
    expect(verify(`${'v1=00,'.repeat(1_000)}v1=${right}`)).toBe(false);
  });

  it('reads an incident', () => {
    expect(parseOne(pagerduty, pagerdutyBody)).toEqual({
      source: 'monitoring',
      fingerprint: 'PGR0VU2',
      startsAt: '2026-11-21T03:04:06.000Z',
      status: 'firing',
      severity: 'p1',
      title: 'Error rate of booking above 5 %',
      labels: {
        event: 'incident.triggered',
        incident: 'PGR0VU2',
        incident_key: 'd3640fbd41094207a1c11e58e46b1662',
        service: 'Booking API',
        service_id: 'PF9KMXH',
        urgency: 'high',
        priority: 'P1',
        escalation_policy: 'Default',
      },
      annotations: {},
      link: 'https://acme.pagerduty.com/incidents/PGR0VU2',
    });
  });

  it.each([
    ['incident.triggered', 'firing'],
    ['incident.reopened', 'firing'],
    ['incident.unacknowledged', 'firing'],
    ['incident.acknowledged', 'firing'],
    ['incident.escalated', 'firing'],
    ['incident.priority_updated', 'firing'],
    ['incident.resolved', 'resolved'],
  ])('takes %s for %s, always as the same episode', (type, status) => {
    expect(parseOne(pagerduty, eventOf(type))).toMatchObject({
      fingerprint: 'PGR0VU2',
      startsAt: '2026-11-21T03:04:06.000Z',
      status,
    });
  });

  it('does not take an event that was overtaken by the end of its incident for a new alarm', () => {
    expect(parseOne(pagerduty, eventOf('incident.priority_updated', { status: 'resolved' })).status).toBe(
      'resolved',
    );
  });

  it('has the urgency for a severity where nobody set a priority', () => {
    expect(parseOne(pagerduty, eventOf('incident.triggered', { priority: null })).severity).toBe('high');
  });

  it.each([
    'incident.annotated',
    'incident.responder.added',
    'incident.status_update_published',
    'service.updated',
    'pagey.ping',
    'constructor',
  ])('takes %s for no alert', (type) => {
    expect(parse(pagerduty, { event: { id: 'x', event_type: type, data: { type: 'other' } } })).toEqual([]);
  });

  it.each([
    [{}, 'event: got nothing, wanted an object'],
    [{ event: { event_type: 7, data: null } }, null],
    [{ event: { event_type: null } }, 'event.event_type: got null, wanted a text'],
    [eventOf('incident.triggered', { id: '' }), 'event.data.id: got "", wanted a text that is not empty'],
    [eventOf('incident.resolved', { created_at: 'now' }), 'event.data.created_at: got "now", wanted an ISO'],
  ])('names the field that is wrong in %j', (body, message) => {
    if (message === null) expect(parse(pagerduty, body)).toEqual([]);
    else expect(() => parse(pagerduty, body)).toThrow(message);
  });
});
