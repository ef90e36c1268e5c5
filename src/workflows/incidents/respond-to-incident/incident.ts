import { condition } from '@temporalio/workflow';
import type { IncidentPolicy } from '../../../activities/incidents/incident-activities';
import type { IncidentRecord } from '../../../contract/incident';
import { now, type Run } from '../../kit';
import { startClocks, type Clocks } from './clocks';
import { isWorse } from './severity';
import type { Severity } from '../../../contract/modes';

/** What a message asks the run to do; carried out one after the other, so that texts leave in the order of events. */
export type Effect = (run: Run) => Promise<void>;

/** Somebody says that it is over. Answered by the run once it has looked. */
export interface ResolveRequest {
  by: string;
  note: string;
  rootCause?: string;
  override?: string;
  verdict?: { ok: boolean; text: string };
}

/** One incident: what the post-mortem is made of, and what leading it needs besides. */
export interface Incident {
  record: IncidentRecord;
  /** Absent until the configuration was read. */
  policy?: IncidentPolicy;
  environment: string;
  clocks: Clocks;
  /** A measurement did not hold. */
  wasIll: boolean;
  /** It was written down that there is nobody to be paged. */
  saidUnpaged: boolean;
  /** The `resolvedAt` of the alert that was already acted upon. */
  heardResolved?: string;
  /** ISO time at which the newest alert began that was already acted upon. */
  heardStart: string;
  /** Both words of the sender may come before anything acts upon the first. */
  heardRefires: number;
  /** What its sender said last about the impact. */
  heardNews?: string;
  todo: Effect[];
  /** A message changed something since the run last looked. */
  woken: boolean;
  request?: ResolveRequest;
  /** Nothing answers any longer. */
  ended: boolean;
  /** The runbook that was started; never rejects. */
  child?: Promise<void>;
}

export function createIncident(): Incident {
  const openedAt = now();
  const record: IncidentRecord = {
    title: '',
    severity: 'P3',
    worst: 'P3',
    severities: [],
    startedAt: openedAt,
    openedAt,
    impact: '',
    scope: '',
    reopened: [],
    updates: 0,
    pages: 0,
    escalations: [],
    findings: [],
    measured: '',
    contributing: [],
    worked: [],
    failed: [],
    actions: [],
    reminders: 0,
  };
  return {
    record,
    environment: '',
    clocks: startClocks(Date.now()),
    wasIll: false,
    saidUnpaged: false,
    ended: false,
    woken: false,
    heardRefires: 0,
    heardStart: '',
    todo: [],
  };
}

/** The policy; messages and clocks come after it. */
export function policyOf({ policy }: Incident): IncidentPolicy {
  if (policy === undefined) throw new Error('the policy of the incident is read first');
  return policy;
}

/** Every clock counts by the new severity from now on: they are computed from it. */
export function setSeverity(
  { record, clocks }: Incident,
  severity: Severity,
  by: string,
  reason: string,
): void {
  if (record.severities.length > 0 && isWorse(severity, record.severity))
    clocks.beyond = { escalate: 0, acknowledge: 0 };
  record.severity = severity;
  record.worst = record.severities.length === 0 || isWorse(severity, record.worst) ? severity : record.worst;
  record.severities.push({ severity, by, reason, at: now() });
}

export function isResolved({ record }: Incident): boolean {
  return record.resolved !== undefined;
}

/** Its sender said something since that was last acted upon. */
export function alertChanged(incident: Incident, { sender }: Run): boolean {
  const { heardResolved, heardRefires, heardStart } = incident;
  return (
    sender.resolvedAt !== heardResolved ||
    sender.refires !== heardRefires ||
    (sender.startsAt ?? '') > heardStart
  );
}

/**
 * Takes note of what the sender said. Returns whether it fires again: after it had been resolved, or because another
 * episode began after people had closed the incident.
 */
export function noteAlert(incident: Incident, { sender }: Run): boolean {
  const { record, heardStart, heardRefires } = incident;
  const { startsAt = '' } = sender;
  const began = startsAt > heardStart && startsAt > (record.resolved?.at ?? startsAt);
  const again = (sender.refires !== heardRefires || began) && sender.resolvedAt === undefined;
  if (startsAt > heardStart) incident.heardStart = startsAt;
  incident.heardResolved = sender.resolvedAt;
  incident.heardRefires = sender.refires;
  takeNews(incident, sender.news);
  return again;
}

/** Whoever is paged or told from now on hears of what is wrong today; the words of a person stay. */
function takeNews(incident: Incident, news: string | undefined): void {
  const { record, heardNews = '' } = incident;
  if (news === undefined || news === heardNews) return;
  if (record.impact === heardNews) record.impact = news;
  incident.heardNews = news;
}

/** Waits until something is to be done: because of a message, of the alert, or because the time has come. */
export async function rest(incident: Incident, run: Run, ms: number): Promise<void> {
  incident.woken = false;
  await condition(() => incident.woken || incident.todo.length > 0 || alertChanged(incident, run), ms);
}
