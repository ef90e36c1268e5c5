/** What the intake listens to, and which runbook an alert starts. */
import { z } from 'zod';
import { modeSchema, plainName, secretText, severitySchema } from './primitives';

const secrets = z.array(secretText).min(1).describe('several while one is being replaced');

const bearer = z
  .strictObject({ kind: z.literal('bearer'), tokens: secrets })
  .describe('Authorization: Bearer ...');
const basic = z.strictObject({
  kind: z.literal('basic'),
  username: z.string().min(1),
  passwords: secrets,
});
const header = z
  .strictObject({ kind: z.literal('header'), name: z.string().min(1), values: secrets })
  .describe('a secret in a header of its own');
const hmac = z
  .strictObject({
    kind: z.literal('hmac'),
    secrets,
    header: z.string().default('X-Signature'),
    prefix: z.string().default('').describe('before the hex digest, e.g. "sha256="'),
    timestampHeader: z
      .string()
      .optional()
      .describe('unix seconds; the digest is then over `timestamp:body`, otherwise over the body'),
  })
  .describe('hex HMAC-SHA256 over the raw body');
const grafanaHmac = hmac.extend({ header: z.string().default('X-Grafana-Alerting-Signature') });
const signature = z
  .strictObject({ kind: z.literal('signature'), secrets })
  .describe("the sender's own signature");

const path = z.string().min(1).describe('dot path into the body, e.g. data.monitor.id');

/** A sender whose JSON is described here. */
const mappingSchema = z.strictObject({
  items: path.optional().describe('an array of alerts in the body; default: the body is one alert'),
  fingerprint: path.describe('what stays the same while it is the same problem'),
  startsAt: path.optional().describe('ISO time, or unix seconds or milliseconds'),
  status: path.optional(),
  resolvedValues: z.array(z.string()).default(['resolved', 'ok', 'recovered', 'closed']),
  severity: path.optional(),
  title: path.optional(),
  link: path.optional(),
  labels: z.record(z.string(), path).default({}),
  annotations: z.record(z.string(), path).default({}),
});

export const alertSourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('alertmanager'), auth: z.discriminatedUnion('kind', [bearer, basic]) }),
  z.strictObject({
    kind: z.literal('grafana'),
    auth: z.discriminatedUnion('kind', [bearer, basic, grafanaHmac]),
  }),
  z.strictObject({ kind: z.literal('sentry'), auth: signature }),
  z.strictObject({ kind: z.literal('pagerduty'), auth: signature }),
  z.strictObject({
    kind: z.literal('opsgenie'),
    auth: z.discriminatedUnion('kind', [header, bearer, basic]),
  }),
  z.strictObject({
    kind: z.literal('datadog'),
    auth: z.discriminatedUnion('kind', [header, bearer, basic]),
  }),
  z.strictObject({ kind: z.literal('stripe'), auth: signature }),
  z.strictObject({ kind: z.literal('github'), auth: signature }),
  z.strictObject({
    kind: z.literal('generic'),
    auth: z.discriminatedUnion('kind', [bearer, basic, header, hmac]),
    fields: mappingSchema,
  }),
]);

const matcherSchema = z
  .union([
    z.string().describe('equal'),
    z.strictObject({ regex: z.string().min(1).describe('the whole value must match') }),
    z.strictObject({ absent: z.literal(true) }),
  ])
  .describe('equal, a regular expression, or absent');

export const alertRouteSchema = z
  .strictObject({
    name: plainName,
    match: z
      .record(z.string(), matcherSchema)
      .refine((all) => Object.keys(all).length > 0, 'a route needs at least one matcher')
      .describe(
        'by field: source, fingerprint, status, severity, title, link, labels.<name>, annotations.<name>',
      ),
    group: z
      .array(z.string())
      .default([])
      .describe('fields; alerts with the same values belong to one run. Default: its fingerprint'),
    runbook: z.string().min(1),
    input: z
      .record(z.string(), z.unknown())
      .describe('input of the runbook; {{labels.<name>}} and other fields are filled in'),
    mode: modeSchema.optional(),
    severity: severitySchema.optional().describe('default: what the service makes of the sender’s severity'),
  })
  .describe('the first route whose matchers all hold decides');

export const alertsSchema = z
  .strictObject({
    host: z.string().default('127.0.0.1'),
    port: z.number().int().min(0).max(65_535).default(9_095),
    maxBodyKilobytes: z.number().int().min(1).max(4_096).default(512),
    maxPerMinute: z.number().int().positive().default(30_000).describe('requests of one source'),
    clockSkewSeconds: z
      .number()
      .positive()
      .max(3_600)
      .default(300)
      .describe('how far a signed time may be off'),
    sources: z
      .record(plainName, alertSourceSchema)
      .default({})
      .describe('by the name in POST /alerts/<name>'),
    routes: z.array(alertRouteSchema).default([]),
  })
  .describe('the intake: what starts runs');

export type AlertsConfig = z.infer<typeof alertsSchema>;
export type AlertSourceConfig = z.infer<typeof alertSourceSchema>;
export type AlertAuthConfig = AlertSourceConfig['auth'];
export type AlertRouteConfig = z.infer<typeof alertRouteSchema>;
export type GenericMapping = z.infer<typeof mappingSchema>;
