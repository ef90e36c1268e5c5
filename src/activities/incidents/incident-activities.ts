import { environmentOf, serviceOf } from '../../config/load';
import { errorRateBands } from '../../config/measure-schema';
import { resolveSecrets, scrub } from '../../config/secrets';
import type { Severity } from '../../contract/modes';
import type { ActivityDeps } from '../support/deps';
import { matches } from '../../config/pattern';
import type { IncidentConfig, incidentSettings } from './settings';
import { askJson, problemOf } from '../support/http';
import { valueAt } from '../support/json';
import type { Check, Place } from '../../contract/place';

/** How a service leads its incidents, recorded at the start so that a changed configuration cannot change a running one. */
export interface IncidentPolicy {
  /** Words of people and of alert senders, lower case. */
  severities: Record<string, Severity>;
  defaultSeverity: Severity;
  commanders: string[];
  acknowledgeMs: Record<Severity, number>;
  updateMs: Record<Severity, number>;
  escalateMs: Record<Severity, number>;
  /** Shares between 0 and 1; null where no error rate is configured. */
  errorRate: { max: number; warning: number; critical: number } | null;
  errorRateSeverity: { warning: Severity; critical: Severity };
  healthSeverity: { all: Severity; some: Severity };
  postmortemFor: Severity[];
  meetingMs: number;
  reminderMs: number;
  standardActions: string[];
  actionDueMs: number;
  /** A deployment younger than this is suspected; null where none can be listed. */
  suspectMs: number | null;
}

export interface MatchingRunbook {
  runbook: string;
  input: Record<string, unknown>;
  /** Which rule matched, for the timeline. */
  because: string;
}

/** Looks at what an incident is about. Reads only, so a retry is safe. */
export function createIncidentActivities({ config }: ActivityDeps<typeof incidentSettings>) {
  return {
    /** What the configuration says about incidents of this service. Throws UnknownName. */
    async readIncidentPolicy({ service, environment }: Place): Promise<IncidentPolicy> {
      const { incident, deployments } = serviceOf(config, service);
      const bands = errorRateBands(environmentOf(config, service, environment));
      return {
        ...policyOf(incident),
        errorRate:
          bands === undefined ? null : { max: bands.max, warning: bands.warning, critical: bands.critical },
        suspectMs: deployments === undefined ? null : deployments.suspectMinutes * 60_000,
      };
    },

    /** The configured further facts, each read once. One that does not answer is a failed check, not an error. */
    async readIncidentChecks({ service }: { service: string }): Promise<Check[]> {
      const { checks } = serviceOf(config, service).incident;
      return Promise.all(checks.map((one) => readCheck(one, config.directory)));
    },

    /** The first configured runbook whose rule matches, null where none does. */
    async findMatchingRunbook(input: {
      service: string;
      labels: Record<string, string>;
      findings: string[];
    }): Promise<MatchingRunbook | null> {
      const { runbooks } = serviceOf(config, input.service).incident;
      const rule = runbooks.find(({ match }) => ruleMatches(match, input));
      if (rule === undefined) return null;
      const because = Object.entries(rule.match).map(([name, pattern]) => `${name} matches ${pattern}`);
      return { runbook: rule.runbook, input: rule.input, because: because.join(' and ') };
    },
  };
}

function policyOf(incident: IncidentConfig): Omit<IncidentPolicy, 'errorRate' | 'suspectMs'> {
  const { severities, defaultSeverity, commanders, errorRateSeverity, healthSeverity } = incident;
  const { postmortemFor, standardActions } = incident;
  return {
    severities,
    defaultSeverity,
    commanders,
    errorRateSeverity,
    healthSeverity,
    postmortemFor,
    standardActions,
    acknowledgeMs: inMs(incident.acknowledgeMinutes),
    updateMs: inMs(incident.updateMinutes),
    escalateMs: inMs(incident.escalateMinutes),
    meetingMs: incident.meetingWithinHours * 3_600_000,
    reminderMs: incident.reminderHours * 3_600_000,
    actionDueMs: incident.actionDueDays * 86_400_000,
  };
}

function inMs(minutes: Record<Severity, number>): Record<Severity, number> {
  const { P0, P1, P2, P3 } = minutes;
  return { P0: P0 * 60_000, P1: P1 * 60_000, P2: P2 * 60_000, P3: P3 * 60_000 };
}

function ruleMatches(
  match: Record<string, string>,
  { labels, findings }: { labels: Record<string, string>; findings: string[] },
): boolean {
  return Object.entries(match).every(([name, pattern]) => {
    const values = name === 'finding' ? findings : [labels[name]];
    return values.some((value) => value !== undefined && matches(pattern, value));
  });
}

async function readCheck(
  { name, url, headers, field, healthy, timeoutMs }: IncidentConfig['checks'][number],
  directory: string,
): Promise<Check> {
  try {
    const sent = Object.entries(headers).map(([key, value]) => [key, resolveSecrets(value, directory)]);
    const answer = await askJson({
      url: resolveSecrets(url, directory),
      headers: Object.fromEntries(sent) as Record<string, string>,
      timeoutMs,
    });
    const value = valueAt(answer, field);
    if (value === undefined) return { name, ok: false, detail: `the answer has no "${field}"` };
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return { name, ok: healthy.includes(text), detail: scrub(text).slice(0, 200) };
  } catch (error) {
    return { name, ok: false, detail: `could not be read: ${problemOf(error)}`.slice(0, 300) };
  }
}
