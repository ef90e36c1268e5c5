import { durationsOf, type IncidentRecord } from '../../../contract/incident';
import { duration, type Run, utc } from '../../kit';
import type { Incident } from './incident';

const UNKNOWN = 'not known yet';

/** What somebody who is woken up reads first: how bad, what, why now, and what to type. */
export function pageText({ record }: Incident, run: Run, why: string): string {
  const { severity, title, impact } = record;
  const { id } = run;
  const answer =
    record.acknowledged === undefined
      ? `Acknowledge: runbooks incident ack ${id}`
      : `Acknowledged by ${record.acknowledged.by}. Look: runbooks status ${id}`;
  return [`${severity}: ${title}`, sentence(why), `Impact: ${sentence(impact || UNKNOWN)}`, answer].join(
    '\n',
  );
}

/** A status update: start, impact, scope, who leads, what is being done, what was measured, when the next one comes. */
export function statusText(incident: Incident, nextUpdateAt: string): string {
  const { record } = incident;
  const since = duration(Math.max(0, Date.now() - Date.parse(record.startedAt)));
  return [
    `${record.severity}: ${record.title}`,
    `Started ${utc(record.startedAt)} UTC (${since} ago).`,
    `Impact: ${sentence(record.impact || UNKNOWN)}`,
    `Scope: ${sentence(record.scope || UNKNOWN)}`,
    `Commander: ${record.commander ?? 'nobody yet'}.`,
    `Now: ${sentence(doing(record))}`,
    `Measured: ${sentence(record.measured || UNKNOWN)}`,
    `Next update by ${utc(nextUpdateAt)} UTC.`,
  ].join('\n');
}

/** What is being done, in the words of a person where there are any. */
export function doing({ update, runbook, acknowledged }: IncidentRecord): string {
  const parts: string[] = [];
  if (update !== undefined) parts.push(`${update.text} (${update.by}, ${utc(update.at)} UTC)`);
  else if (acknowledged === undefined) parts.push('nobody has acknowledged yet');
  else parts.push(`${acknowledged.by} is looking into it`);
  if (runbook?.outcome !== undefined)
    parts.push(`runbook ${runbook.runbook} ended as ${runbook.outcome}: ${runbook.summary}`);
  else if (runbook !== undefined)
    parts.push(`runbook ${runbook.runbook} runs since ${utc(runbook.startedAt)} UTC`);
  return parts.join('; ');
}

/** What everybody hears at the end. */
export function resolvedText({ record }: Incident): string {
  const { resolved, severity, title, rootCause } = record;
  if (resolved === undefined) return '';
  const { resolveMs = 0 } = durationsOf(record);
  const lines = [
    `RESOLVED after ${duration(resolveMs)}: ${severity}: ${title}`,
    sentence(`${resolved.note} (${resolved.by}, ${utc(resolved.at)} UTC)`),
    resolved.override === undefined
      ? `Verified: ${sentence(resolved.proof)}`
      : `NOT verified (${resolved.proof}); closed by the commander: ${sentence(resolved.override)}`,
    `Root cause: ${sentence(rootCause ?? UNKNOWN)}`,
  ];
  return lines.join('\n');
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
