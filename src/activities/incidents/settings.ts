/** How a service leads its incidents: the section `incident` of a service. */
import { z } from 'zod';
import { secretText, severitySchema } from '../../config/primitives';
import type { ServiceConfig } from '../../config/schema';
import type { Severity } from '../../contract/modes';

const perSeverity = (p0: number, p1: number, p2: number, p3: number) =>
  z
    .strictObject({
      P0: z.number().positive().default(p0),
      P1: z.number().positive().default(p1),
      P2: z.number().positive().default(p2),
      P3: z.number().positive().default(p3),
    })
    .prefault({});

const DEFAULT_SEVERITIES = {
  p0: 'P0',
  p1: 'P1',
  p2: 'P2',
  p3: 'P3',
  critical: 'P0',
  fatal: 'P0',
  error: 'P1',
  high: 'P1',
  warning: 'P2',
  moderate: 'P2',
  medium: 'P2',
  info: 'P3',
  low: 'P3',
} satisfies Record<string, Severity>;

export const incidentSchema = z
  .strictObject({
    severities: z
      .record(z.string().toLowerCase(), severitySchema)
      .default({})
      .transform((given): Record<string, Severity> => ({ ...DEFAULT_SEVERITIES, ...given }))
      .describe(
        'words of alert senders and of people, lower case, to P0 ... P3; they go over the usual ones',
      ),
    defaultSeverity: severitySchema.default('P2'),
    commanders: z
      .array(z.string().min(1))
      .default([])
      .describe('who may lead an incident, first asked first'),
    acknowledgeMinutes: perSeverity(5, 60, 240, 1_440).describe('response time, by severity'),
    updateMinutes: perSeverity(15, 30, 120, 480).describe('time between two status updates'),
    escalateMinutes: perSeverity(30, 120, 480, 1_440).describe(
      'unresolved for this long: the next of the ladder',
    ),
    errorRateSeverity: z
      .strictObject({ critical: severitySchema.default('P1'), warning: severitySchema.default('P2') })
      .prefault({})
      .describe('severity that an error rate above its band stands for'),
    healthSeverity: z
      .strictObject({ all: severitySchema.default('P0'), some: severitySchema.default('P1') })
      .prefault({})
      .describe('severity that failing health checks stand for: all of them, some of them'),
    runbooks: z
      .array(
        z.strictObject({
          match: z
            .record(z.string(), z.string())
            .describe('labels of the alert, or `finding`, as regular expressions'),
          runbook: z.string().min(1),
          input: z.record(z.string(), z.unknown()).default({}),
        }),
      )
      .default([])
      .describe('which runbook an incident starts; the first that matches'),
    checks: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          url: secretText.describe('answers JSON to a GET'),
          headers: z.record(z.string(), secretText).default({}),
          field: z.string().min(1).describe('dot path, e.g. workflow_runs.0.conclusion'),
          healthy: z.array(z.string()).min(1),
          timeoutMs: z.number().positive().max(30_000).default(5_000),
        }),
      )
      .default([])
      .describe('more facts for triage: continuous integration, pull requests, status pages'),
    postmortemFor: z.array(severitySchema).default(['P0', 'P1']),
    meetingWithinHours: z.number().positive().default(48),
    standardActions: z
      .array(z.string().min(1).max(300))
      .max(20)
      .default([
        'Add the missing test coverage',
        'Improve the monitoring so that this is noticed sooner',
        'Update runbooks and docs where operational steps changed',
      ])
      .describe('action items that every post-mortem begins with'),
    actionDueDays: z.number().int().positive().default(14).describe('of a standard action item'),
    reminderHours: z
      .number()
      .positive()
      .default(24)
      .describe('time between two reminders of an open action item'),
  })
  .describe('how an incident is led');

export type IncidentConfig = z.infer<typeof incidentSchema>;

export const incidentSettings = { service: z.object({ incident: incidentSchema.prefault({}) }) };

const usual = incidentSchema.parse({});

/** The section of a service; the usual one where the configuration was read without the pack of incidents. */
export function incidentOf(service: ServiceConfig): IncidentConfig {
  return (service as ServiceConfig & { incident?: IncidentConfig }).incident ?? usual;
}
