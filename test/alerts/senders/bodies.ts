/** Bodies as the senders write them, for the tests to read and the fuzz to spoil. */
import type { Headers, SenderKind } from '../../../src/alerts/sender';
import type { GenericMapping } from '../../../src/config/alert-schema';
import { sentryError, sentryEventAlert, sentryIssue, sentryMetricAlert } from './sentry-bodies';
import {
  githubCheckSuite,
  githubDependabotAlert,
  githubDeploymentStatus,
  githubWorkflowRun,
} from './github-bodies';

export const poolAlert = {
  status: 'firing',
  labels: {
    alertname: 'ConnectionPoolNearlyFull',
    service: 'booking',
    severity: 'Critical',
    instance: '10.0.3.7:9187',
    job: 'postgres',
  },
  annotations: {
    summary: '47 of 50 connections of booking are in use',
    description: 'For 5 minutes more than 90 % were in use.\nMost of them are idle in transaction.',
  },
  startsAt: '2026-11-21T03:04:05.123456789Z',
  endsAt: '0001-01-01T00:00:00Z',
  generatorURL: 'http://prometheus:9090/graph?g0.expr=pg_stat_activity_count+%3E+45&g0.tab=1',
  fingerprint: 'c1b7a1f4d0e2f3a4',
};

export const alertmanagerBody = {
  version: '4',
  groupKey: '{}:{alertname="ConnectionPoolNearlyFull", service="booking"}',
  truncatedAlerts: 0,
  status: 'firing',
  receiver: 'runbooks',
  groupLabels: { alertname: 'ConnectionPoolNearlyFull', service: 'booking' },
  commonLabels: poolAlert.labels,
  commonAnnotations: poolAlert.annotations,
  externalURL: 'http://alertmanager:9093',
  alerts: [poolAlert],
};

export const grafanaAlert = {
  ...poolAlert,
  labels: { ...poolAlert.labels, grafana_folder: 'Booking' },
  startsAt: '2026-11-21T04:04:10+01:00',
  generatorURL: 'https://grafana.example.com/alerting/grafana/ae1f0k/view?orgId=1',
  silenceURL: 'https://grafana.example.com/alerting/silence/new?alertmanager=grafana',
  dashboardURL: 'https://grafana.example.com/d/dZ3-pool?orgId=1',
  panelURL: 'https://grafana.example.com/d/dZ3-pool?orgId=1&viewPanel=4',
  values: { B: 47, C: 1 },
  valueString: "[ var='B' labels={service=booking} value=47 ], [ var='C' labels={service=booking} value=1 ]",
};

export const grafanaBody = {
  receiver: 'runbooks',
  status: 'firing',
  alerts: [grafanaAlert],
  groupLabels: { alertname: 'ConnectionPoolNearlyFull' },
  commonLabels: grafanaAlert.labels,
  commonAnnotations: grafanaAlert.annotations,
  externalURL: 'https://grafana.example.com/',
  version: '1',
  groupKey: '{}/{}:{alertname="ConnectionPoolNearlyFull"}',
  truncatedAlerts: 0,
  orgId: 1,
  title: '[FIRING:1] ConnectionPoolNearlyFull Booking',
  state: 'alerting',
  message: '**Firing**\n\nValue: B=47, C=1',
};

const reference = (id: string, type: string, summary: string) => ({
  id,
  type: `${type}_reference`,
  self: `https://api.pagerduty.com/${type}s/${id}`,
  html_url: `https://acme.pagerduty.com/${type}s/${id}`,
  summary,
});

export const pagerdutyBody = {
  event: {
    id: '01DVUHO6P4XQDFJ9A9QFD0C6H6',
    event_type: 'incident.triggered',
    resource_type: 'incident',
    occurred_at: '2026-11-21T03:04:07.169Z',
    agent: reference('PLH1HKV', 'user', 'Tenex Engineer'),
    client: { name: 'Monitoring Service' },
    data: {
      id: 'PGR0VU2',
      type: 'incident',
      self: 'https://api.pagerduty.com/incidents/PGR0VU2',
      html_url: 'https://acme.pagerduty.com/incidents/PGR0VU2',
      number: 2,
      status: 'triggered',
      incident_key: 'd3640fbd41094207a1c11e58e46b1662',
      created_at: '2026-11-21T03:04:06Z',
      title: 'Error rate of booking above 5 %',
      service: reference('PF9KMXH', 'service', 'Booking API'),
      assignees: [reference('PTUXL6G', 'user', 'User 123')],
      escalation_policy: reference('PUS0KTE', 'escalation_policy', 'Default'),
      teams: [reference('PFCVPS0', 'team', 'Engineering')],
      priority: reference('PSO75BM', 'priority', 'P1'),
      urgency: 'high',
      conference_bridge: null,
      resolve_reason: null,
    },
  },
};

export const opsgenieBody = {
  source: { name: 'web', type: 'API' },
  alert: {
    alertId: '052652ac-5d1c-464a-812a-7dd18bbfba8c',
    alias: 'booking/error-rate',
    tinyId: '23',
    message: 'Error rate of booking above 5 %',
    description: 'See the dashboard.',
    entity: 'booking',
    priority: 'P1',
    createdAt: 1_795_230_246_104,
    updatedAt: 1_795_230_246_166_002_000,
    tags: ['environment:production', 'api', 'OverwritesQuietHours'],
    teams: ['booking'],
    details: { region: 'eu-central-1', apiToken: 'of-somebody' },
    username: 'monitor@example.com',
    userId: 'daed1180-0ce8-438b-8f8e-57e1a5920a2d',
  },
  action: 'Create',
  integrationId: '37c8f316-17c6-49d7-899b-9c7e540c048d',
  integrationName: 'Runbooks',
};

export const datadogBody = {
  id: '6421897532130',
  alert_id: '1234567',
  alert_cycle_key: '9bd4ac313a4d1e8fae2482df7b77628',
  aggreg_key: 'e59bd4ac313a4d1e8fae2482df7b7762',
  alert_transition: 'Triggered',
  alert_scope: 'service:booking,host:web-2',
  alert_type: 'error',
  title: '[Triggered on {service:booking}] Error rate is high',
  body: '%%%\nThe error rate is **7.3 %**.\n%%%',
  priority: 'P1',
  tags: 'env:production,monitor,service:booking',
  link: 'https://app.datadoghq.eu/monitors/1234567?to_ts=1795230246000',
  date: '1795230246000',
};

export const stripeBody = {
  id: 'evt_1NG8Du2eZvKYlo2CUI79vXWy',
  object: 'event',
  api_version: '2026-10-28.clover',
  created: 1_795_230_246,
  livemode: true,
  pending_webhooks: 1,
  request: { id: 'req_9uvWX3v8XyZ1pQ', idempotency_key: null },
  type: 'payment_intent.payment_failed',
  data: {
    object: {
      id: 'pi_3MtwBwLkdIwHu7ix28a3tqPa',
      object: 'payment_intent',
      amount: 18_000,
      currency: 'eur',
      client_secret: 'pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH',
      last_payment_error: { code: 'card_declined', message: 'Your card was declined.' },
      metadata: { booking: '4711' },
    },
  },
};

export const genericBody = {
  sent: '2026-11-21T03:04:06Z',
  data: {
    monitors: [
      {
        monitor: { id: 81, name: 'Booking page' },
        state: { word: 'DOWN', since: 1_795_230_246 },
        importance: 'Major',
        url: 'https://uptime.example.com/81',
        region: 'eu',
        response: { code: 503 },
      },
    ],
  },
};

export const genericMapping: GenericMapping = {
  items: 'data.monitors',
  fingerprint: 'monitor.id',
  startsAt: 'state.since',
  status: 'state.word',
  resolvedValues: ['up', 'OK'],
  severity: 'importance',
  title: 'monitor.name',
  link: 'url',
  labels: { region: 'region', code: 'response.code', owner: 'owner' },
  annotations: { name: 'monitor.name' },
};

export interface Sample {
  kind: SenderKind;
  body: object;
  headers: Headers;
}

const sample = (kind: SenderKind, body: object, headers: Headers = {}): Sample => ({ kind, body, headers });
const ofSentry = (resource: string, body: object) =>
  sample('sentry', body, { 'sentry-hook-resource': resource });
const ofGithub = (event: string, body: object) => sample('github', body, { 'x-github-event': event });

/** One of every sort that a sender has. */
export const samples: Sample[] = [
  sample('alertmanager', alertmanagerBody),
  sample('grafana', grafanaBody),
  ofSentry('event_alert', sentryEventAlert),
  ofSentry('error', sentryError),
  ofSentry('issue', sentryIssue),
  ofSentry('metric_alert', sentryMetricAlert),
  sample('pagerduty', pagerdutyBody),
  sample('opsgenie', opsgenieBody),
  sample('datadog', datadogBody),
  sample('stripe', stripeBody),
  ofGithub('workflow_run', githubWorkflowRun),
  ofGithub('check_suite', githubCheckSuite),
  ofGithub('deployment_status', githubDeploymentStatus),
  ofGithub('dependabot_alert', githubDependabotAlert),
  sample('generic', genericBody),
];
