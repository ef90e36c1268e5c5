/** The post-mortem of an incident as Markdown. Also runs inside workflows: no Node built-ins here. */
import { printable } from '../../contract/printable';
import { duration, utc } from '../../contract/text';
import { overdue, type IncidentRecord } from '../../contract/incident';
import { messageSection, runSection, section, table, text, timelineTable } from './markdown-parts';
import { clockRows, lessonsOf, nextOf, standingOf } from './postmortem';
import type { HistoryReport } from '../../contract/run-history';
import type { RunReport } from '../../contract/report';

type Shown = RunReport & Partial<Pick<HistoryReport, 'history' | 'children'>>;

const UNKNOWN = '_Not written down yet._';

/** In the order in which it is read: how it stands, how long it took, impact, cause, lessons, actions, then every step. */
export function renderPostmortem(report: Shown, incident: IncidentRecord, now = Date.now()): string {
  const lessons = lessonsOf(report, incident);
  const sections = [
    `# ${incident.worst}: ${text(incident.title)}${report.service === '' ? '' : ` (${text(report.service)})`}`,
    headline(report, incident),
    section('What to do next', list(nextOf(report, incident, now))),
    section('How long it took', clockTable(incident)),
    section('Impact', impactText(incident)),
    section('Root cause', incident.rootCause === undefined ? UNKNOWN : text(incident.rootCause)),
    section('Contributing factors', list(lessons.contributing)),
    section('What worked', list(lessons.worked)),
    section('What failed', list(lessons.failed)),
    section('Action items', actionText(incident, now)),
    section('Timeline', timelineTable(report, report.history)),
    ...(report.children ?? []).map(childSection),
    messageSection(report.history),
    runSection(report),
  ];
  return printable(`${sections.filter((part) => part !== '').join('\n\n')}\n`);
}

function headline(report: RunReport, incident: IncidentRecord): string {
  const { word, words } = standingOf(report, incident);
  const { resolved, severity, worst, commander, severities } = incident;
  const changes = severities.map(
    (one) => `- ${utc(one.at)} UTC: **${one.severity}**, ${text(one.by)}: ${text(one.reason)}`,
  );
  return [
    `**${word}**: ${words}.`,
    `Commander: ${text(commander ?? 'nobody')}. Severity now ${severity}, at worst ${worst}.`,
    ...(resolved === undefined
      ? []
      : [`Resolved by ${text(resolved.by)}: ${text(resolved.note)}. ${proofText(resolved)}`]),
    changes.join('\n'),
  ].join('\n\n');
}

function proofText({ override, proof }: NonNullable<IncidentRecord['resolved']>): string {
  if (override === undefined) return `Verified: ${text(proof)}.`;
  return `**Closed without proof** (${text(proof)}): ${text(override)}.`;
}

function clockTable(incident: IncidentRecord): string {
  const rows = clockRows(incident).map(({ label, took, at }) => [label, took, at]);
  rows.push(['Pages', String(incident.pages), ''], ['Status updates', String(incident.updates), '']);
  return table(['', 'took', 'until'], rows);
}

function impactText({ impact, scope }: IncidentRecord): string {
  const line = (name: string, value: string) => `**${name}**: ${value === '' ? UNKNOWN : text(value)}`;
  return [line('Impact', impact), line('Scope', scope)].join('\n\n');
}

function list(items: string[]): string {
  return items.length === 0
    ? UNKNOWN
    : items.map((item) => `- ${text(item).replace(/\s*\n\s*/g, ' ')}`).join('\n');
}

function actionText({ actions, meeting, postmortem }: IncidentRecord, now: number): string {
  if (postmortem === undefined) return 'No post-mortem was asked for.';
  const rows = actions.map((action) => [
    action.id,
    action.text,
    action.owner || '**nobody**',
    action.due,
    action.closed === undefined
      ? overdue(action, now)
        ? 'OVERDUE'
        : 'open'
      : `closed by ${action.closed.by}, ${utc(action.closed.at)} UTC${action.closed.note === undefined ? '' : `: ${action.closed.note}`}`,
  ]);
  const when =
    meeting === undefined
      ? 'after the resolution'
      : meeting.at === undefined
        ? `not scheduled; due by ${utc(meeting.dueAt)} UTC`
        : `${utc(meeting.at)} UTC (due by ${utc(meeting.dueAt)} UTC)`;
  return [
    `Post-mortem: ${text(postmortem.because)}. Meeting: ${when}.`,
    rows.length === 0 ? 'No action item yet.' : table(['#', 'action', 'owner', 'due', 'state'], rows),
  ].join('\n\n');
}

function childSection(child: HistoryReport): string {
  const took =
    child.endedAt === undefined
      ? 'running'
      : `took ${duration(Date.parse(child.endedAt) - Date.parse(child.startedAt))}`;
  const head = `**${child.outcome ?? 'RUNNING'}** (${took}): ${text(child.summary)}\n\nIts own report: \`runbooks report ${child.workflowId}\``;
  return section(`Runbook ${child.runbook}`, `${head}\n\n${timelineTable(child, child.history)}`);
}
