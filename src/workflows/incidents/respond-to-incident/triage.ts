import { isCancellation, patched } from '@temporalio/workflow';
import type { Alert } from '../../../contract/alert';
import type { Deployment } from '../../../activities/deployments/deployment-list';
import type { MatchingRunbook } from '../../../activities/incidents/incident-activities';
import type { Check } from '../../../contract/place';
import { countOf, duration, type Run, utc } from '../../kit';
import { kindsText, lookAtLog } from '../../application/errors-in-log';
import { maySuspect } from '../../application/suspect-deployment';
import { policyOf, setSeverity, type Incident } from './incident';
import { measure } from './measure';
import { bandOf, judgeSeverity } from './severity';
import type { Measurement } from '../../../activities/application/measure';

/** Before the name of a health check among the findings. */
export const HEALTH = 'health ';

export interface TriageInput {
  service: string;
  severity?: string | undefined;
  finding?: string | undefined;
  runbook: boolean;
  alert?: Alert | undefined;
}

/** Measures the service, and from that and what was said the severity, with its reason. */
export async function assess(incident: Incident, run: Run, input: TriageInput): Promise<Measurement> {
  const measured = await run.step('Measure the service', () => measure(incident, run), {
    describe: ({ detail }) => detail,
  });
  const words = { given: input.severity, alert: input.alert?.severity };
  const { severity, reason } = judgeSeverity(policyOf(incident), words, measured);
  setSeverity(incident, severity, 'triage', reason);
  run.note(`Severity ${severity}`, reason);
  return measured;
}

/** Gathers what else is known, and finds the runbook for it. May take long, so nobody waits for it. */
export async function investigate(
  incident: Incident,
  run: Run,
  input: TriageInput,
  measured: Measurement,
): Promise<MatchingRunbook | null> {
  const { record } = incident;
  const checks = await attempt(() => readChecks(run, input.service));
  const deployment = await attempt(() => readDeployment(incident, run));
  const log = patched('reads-the-log') ? await readLog(incident, run) : [];
  record.findings = [
    ...measured.health.map(({ name, ok, detail }) => ({ name: `${HEALTH}${name}`, ok, detail })),
    ...(measured.measures ?? []).map(({ name, ok, detail }) => ({ name, ok, detail })),
    ...(checks ?? []),
    ...(deployment ?? []),
    ...log,
  ];
  const band = bandOf(policyOf(incident), measured.errorRate);
  const names = namesOf(input.finding, band, measured, record.findings);
  return input.runbook ? findRunbook(run, input, names) : null;
}

/** The names that rules of `incident.runbooks` can match as `finding`. */
function namesOf(
  given: string | undefined,
  band: ReturnType<typeof bandOf>,
  { health }: Measurement,
  findings: Check[],
): string[] {
  const failing = health.filter(({ ok }) => !ok).length;
  return [
    ...(given === undefined ? [] : [given]),
    ...(failing === 0 ? [] : [failing === health.length ? 'down' : 'unhealthy']),
    ...(band === undefined ? [] : [band === 'elevated' ? 'elevated-error-rate' : 'high-error-rate']),
    ...findings.filter(({ ok }) => !ok).map(({ name }) => name),
  ];
}

async function readChecks(run: Run, service: string): Promise<Check[]> {
  return run.step('Read the further checks', (act) => act.readIncidentChecks({ service }), {
    describe: (checks) => {
      if (checks.length === 0) return 'none is configured';
      const bad = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);
      return bad.length === 0 ? `${countOf(checks.length, 'check')} well` : bad.join('; ');
    },
  });
}

/** The name that the daily checklist gives it, so that one rule is for both. */
const LOG = 'errors-in-the-log';
const KINDS = 5;

/** What the application itself said of it, and in which requests. */
async function readLog({ record, environment }: Incident, run: Run): Promise<Check[]> {
  const { service } = run.policy;
  const seen = await lookAtLog(run, { service, environment }, Date.parse(record.startedAt));
  if ('unread' in seen || seen.log === null) return [];
  const { errors, topErrors, permitted, cut } = seen.log;
  const what = `${countOf(errors, 'error')} since ${utc(seen.since)} UTC${cut ? ' in what could be read' : ''}`;
  const detail = errors === 0 ? what : `${what}: ${kindsText(topErrors, KINDS)}`;
  return [{ name: LOG, ok: errors <= permitted && !cut, detail }];
}

/** A deployment from shortly before the symptom is the first suspect. */
async function readDeployment({ record, policy }: Incident, run: Run): Promise<Check[]> {
  const suspectMs = policy?.suspectMs ?? null;
  if (suspectMs === null) return [];
  const { service } = run.policy;
  const deployments = await run.step('List the deployments', (act) => act.listDeployments({ service }), {
    kind: 'long',
    undo: 'read-only',
    describe: (all) => describeCurrent(all.find(({ current }) => current)),
  });
  const current = deployments.find((one) => one.current);
  if (current === undefined) return [];
  const ageMs = Date.parse(record.startedAt) - Date.parse(current.createdAt);
  const ok = !maySuspect(ageMs, suspectMs);
  const age = ageMs < 0 ? 'after the symptom' : `${duration(ageMs)} before the symptom`;
  return [{ name: 'recent-deployment', ok, detail: `${nameOf(current)} was put in front ${age}` }];
}

function describeCurrent(current: Deployment | undefined): string {
  return current === undefined
    ? 'none is in front'
    : `${nameOf(current)} since ${utc(current.createdAt)} UTC`;
}

function nameOf({ id, version }: Deployment): string {
  return version ?? id;
}

/** A part that fails is a line of the timeline, written by its step, and no more. */
async function attempt<T>(part: () => Promise<T>): Promise<T | undefined> {
  try {
    return await part();
  } catch (error) {
    if (isCancellation(error)) throw error;
    return undefined;
  }
}

/** The configured runbook for what is known; null where none is, or where it cannot be found out. */
async function findRunbook(
  run: Run,
  { service, alert }: TriageInput,
  findings: string[],
): Promise<MatchingRunbook | null> {
  const labels = alert?.labels ?? {};
  const describe = (match: MatchingRunbook | null) =>
    match === null ? 'none is configured for this' : `${match.runbook}: ${match.because}`;
  const found = await attempt(() =>
    run.step('Find the matching runbook', (act) => act.findMatchingRunbook({ service, labels, findings }), {
      describe,
    }),
  );
  return found ?? null;
}
