const sentryFrame = { action: 'triggered', actor: { id: 'sentry', name: 'Sentry', type: 'application' } };
const installation = { uuid: 'a8e5d37a-696c-4c54-adb5-b3f28d64c7de' };

export const sentryEventAlert = {
  ...sentryFrame,
  data: {
    event: {
      event_id: 'e4874d664c3540c1a32eab185f12c5ab',
      issue_id: '1170820242',
      issue_url: 'https://sentry.io/api/0/organizations/acme/issues/1170820242/',
      web_url: 'https://acme.sentry.io/issues/1170820242/events/e4874d664c3540c1a32eab185f12c5ab/',
      title: 'SequelizeConnectionAcquireTimeoutError: Operation timeout',
      culprit: 'POST /api/bookings',
      level: 'error',
      platform: 'node',
      project: 1,
      environment: 'production',
      release: 'booking@2026.11.20-3',
      datetime: '2026-11-21T03:06:17.677000Z',
      tags: [
        ['environment', 'production'],
        ['server_name', 'web-2'],
        ['transaction', 'POST /api/bookings'],
        ['user', 'email:guest@example.com'],
        ['level', 'fatal'],
      ],
      user: { email: 'guest@example.com', ip_address: '203.0.113.9' },
      request: {
        url: 'https://booking.example.com/api/bookings',
        headers: [['Authorization', 'Bearer of-a-guest']],
      },
      exception: { values: [{ type: 'SequelizeConnectionAcquireTimeoutError', stacktrace: { frames: [] } }] },
    },
    triggered_rule: 'Errors of the booking API',
  },
  installation,
};

export const sentryError = {
  ...sentryFrame,
  action: 'created',
  data: { error: sentryEventAlert.data.event },
  installation,
};

export const sentryIssue = {
  ...sentryFrame,
  action: 'resolved',
  data: {
    issue: {
      id: '1170820242',
      shortId: 'BOOKING-9',
      title: 'SequelizeConnectionAcquireTimeoutError: Operation timeout',
      culprit: 'POST /api/bookings',
      level: 'error',
      status: 'resolved',
      substatus: null,
      statusDetails: { inRelease: 'booking@2026.11.21-1' },
      permalink: null,
      web_url: 'https://acme.sentry.io/issues/1170820242/',
      firstSeen: '2026-11-19T20:58:37.391000Z',
      lastSeen: '2026-11-21T03:06:17.677000Z',
      count: '214',
      userCount: 31,
      project: { id: '1', name: 'booking', slug: 'booking', platform: 'node' },
    },
  },
  installation,
};

export const sentryMetricAlert = {
  ...sentryFrame,
  action: 'critical',
  data: {
    metric_alert: {
      id: '4',
      identifier: '1',
      title: 'Sacred Marmot',
      projects: ['booking'],
      date_started: '2026-11-21T03:00:00.000000Z',
      date_detected: '2026-11-21T03:02:00.000000Z',
      date_closed: null,
      status: 20,
      alert_rule: {
        id: '7',
        name: 'Too many errors',
        environment: null,
        aggregate: 'count()',
        query: 'level:error',
        projects: ['booking'],
        triggers: [{ label: 'critical', alert_threshold: 1000, actions: [] }],
      },
    },
    description_title: 'Critical: Too many errors',
    description_text: '1000 events in the last 10 minutes\nFilter: level:error',
    web_url: 'https://acme.sentry.io/alerts/1/',
  },
  installation,
};
