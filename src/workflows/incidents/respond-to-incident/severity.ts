import type { IncidentPolicy } from '../../../activities/incidents/incident-activities';
import { SEVERITIES, type Severity } from '../../../contract/modes';
import { countOf, percent } from '../../kit';
import type { Measurement } from '../../../activities/application/measure';

export function isWorse(one: Severity, other: Severity): boolean {
  return SEVERITIES.indexOf(one) < SEVERITIES.indexOf(other);
}

/**
 * The severity that a word stands for, undefined for an unknown one. P0 ... P3 in capitals mean themselves, as they are
 * shown everywhere; any other word is one of the service's own scale, also `p1`.
 */
export function severityOf(policy: IncidentPolicy, word: string): Severity | undefined {
  const own = SEVERITIES.find((one) => one === word.trim());
  if (own !== undefined) return own;
  const key = word.trim().toLowerCase();
  return Object.hasOwn(policy.severities, key) ? policy.severities[key] : undefined;
}

export interface Judgement {
  severity: Severity;
  reason: string;
}

/**
 * The worst of what was said and what was measured: a mild word never hides an outage. What was said is the word of the
 * input, or else that of the alert; a person can lower it afterwards, with a reason.
 */
export function judgeSeverity(
  policy: IncidentPolicy,
  words: { given?: string | undefined; alert?: string | undefined },
  measured: Measurement,
): Judgement {
  const said = sayings(policy, words);
  const voices = [...said.voices, ...measurements(policy, measured)];
  const worst = voices.reduce<Judgement | undefined>(
    (before, one) => (before === undefined || isWorse(one.severity, before.severity) ? one : before),
    undefined,
  );
  const { defaultSeverity } = policy;
  const { severity, reason } = worst ?? {
    severity: defaultSeverity,
    reason: 'nothing speaks for another one',
  };
  return { severity, reason: [reason, ...said.unknown].join('; ') };
}

function sayings(
  policy: IncidentPolicy,
  { given, alert = '' }: { given?: string | undefined; alert?: string | undefined },
): { voices: Judgement[]; unknown: string[] } {
  const ofAlert = alert === '' ? '' : `the alert says ${alert}`;
  const word = given ?? alert;
  if (word === '') return { voices: [], unknown: [] };
  const severity = severityOf(policy, word);
  // An incident is never turned away because of a word.
  if (severity === undefined)
    return { voices: [], unknown: [`"${word}" is no word of the scale of this service`] };
  const reported = given === undefined ? [] : [`reported as ${given}`];
  return {
    voices: [{ severity, reason: [...reported, ofAlert].filter((part) => part !== '').join(', ') }],
    unknown: [],
  };
}

function measurements(
  policy: IncidentPolicy,
  { health, errorRate, measures = [] }: Measurement,
): Judgement[] {
  const voices: Judgement[] = [];
  const failing = health.filter(({ ok }) => !ok).length;
  if (failing > 0) {
    const severity = failing === health.length ? policy.healthSeverity.all : policy.healthSeverity.some;
    voices.push({ severity, reason: `${failing} of ${countOf(health.length, 'health check')} fail` });
  }
  const band = bandOf(policy, errorRate);
  if (band !== undefined && band !== 'elevated')
    voices.push({
      severity: policy.errorRateSeverity[band],
      reason: `error rate ${percent(errorRate ?? 0)} is above the band "${band}"`,
    });
  // A slow answer is as bad as an error in the same band.
  for (const { band: worst, detail } of measures)
    if (worst === 'warning' || worst === 'critical')
      voices.push({ severity: policy.errorRateSeverity[worst], reason: detail });
  return voices;
}

export type Band = 'elevated' | 'warning' | 'critical';

/** The band that an error rate is in; undefined where it meets the objective or is not known. */
export function bandOf({ errorRate: bands }: IncidentPolicy, rate: number | null): Band | undefined {
  if (bands === null || rate === null) return undefined;
  if (rate > bands.critical) return 'critical';
  if (rate > bands.warning) return 'warning';
  return rate > bands.max ? 'elevated' : undefined;
}
