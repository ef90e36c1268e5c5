/** What a post-mortem says, in whatever form. Made of the incident's record and its run's timeline. No Node built-ins. */
import { duration, utc, capitalised } from '../../contract/text';
import { durationsOf, openDuties, type IncidentRecord } from '../../contract/incident';
import type { Tone } from './outcomes';
import type { RunReport, TimelineEntry } from '../../contract/report';

/** The incident that a run leads; undefined where it only looked, or ended before it began to lead. */
export function ledIncident({ incident }: RunReport): IncidentRecord | undefined {
  return incident !== undefined && incident.pages + incident.updates > 0 ? incident : undefined;
}

export interface Standing {
  word: 'OPEN' | 'ABANDONED' | 'RESOLVED' | 'CLOSED';
  words: string;
  tone: Tone;
}

/** How it stands with an incident. `RESOLVED` has things left to do, `CLOSED` has not. */
export function standingOf({ outcome }: RunReport, { resolved, postmortem }: IncidentRecord): Standing {
  if (resolved === undefined)
    return outcome === undefined
      ? { word: 'OPEN', words: 'it is not over', tone: 'alarm' }
      : { word: 'ABANDONED', words: 'its run was ended before it was over: nobody leads it', tone: 'alarm' };
  if (outcome === 'SUCCEEDED')
    return {
      word: 'CLOSED',
      words: postmortem === undefined ? 'it is over' : 'it is over, and every action item is closed',
      tone: 'good',
    };
  return { word: 'RESOLVED', words: 'it is over; what was learned is not finished', tone: 'open' };
}

/** How long what took, with its moment. What has not happened yet is said so. */
export function clockRows(incident: IncidentRecord): { label: string; took: string; at: string }[] {
  const { detectMs, acknowledgeMs, mitigateMs, resolveMs } = durationsOf(incident);
  const row = (label: string, ms: number | undefined, iso: string | undefined) => ({
    label,
    took: ms === undefined ? 'not yet' : duration(ms),
    at: iso === undefined ? '' : `${utc(iso)} UTC`,
  });
  return [
    row('Time to detect', detectMs, incident.openedAt),
    row('Time to acknowledge', acknowledgeMs, incident.firstAcknowledgedAt),
    row('Time to mitigate', mitigateMs, incident.mitigatedAt ?? incident.resolved?.at),
    row('Time to resolve', resolveMs, incident.resolved?.at),
  ];
}

/** What a person does next, with the commands. */
export function nextOf(report: RunReport, incident: IncidentRecord, nowMs: number): string[] {
  const id = report.workflowId;
  const { word } = standingOf(report, incident);
  if (word === 'ABANDONED')
    return [
      'Find out whether it is over. If it is not, start `respondToIncident` again: nobody leads it now.',
    ];
  if (word === 'OPEN')
    return [
      ...(incident.acknowledged === undefined ? [`Acknowledge: \`runbooks incident ack ${id}\``] : []),
      `Tell everybody what is being done: \`runbooks incident update ${id} <text>\``,
      `When it is over: \`runbooks incident resolve ${id} --note <what ended it>\``,
    ];
  const duties = openDuties(incident, nowMs);
  return duties.length === 0 ? ['Nothing.'] : duties.map(capitalised);
}

export interface Lessons {
  contributing: string[];
  worked: string[];
  failed: string[];
}

const BAD_RUNBOOK = [
  'FAILED',
  'PARTIAL',
  'ROLLED_BACK',
  'REJECTED',
  'CANCELLED',
  'NEEDS_HUMAN',
  'InvalidInput',
];

/** What the history itself shows, before what people added: nobody has to remember it. */
export function lessonsOf({ timeline }: RunReport, incident: IncidentRecord): Lessons {
  const { runbook, resolved } = incident;
  const ended =
    runbook?.outcome === undefined
      ? undefined
      : `the runbook ${runbook.runbook} ended as ${runbook.outcome}: ${runbook.summary}`;
  const bad = runbook?.outcome !== undefined && BAD_RUNBOOK.includes(runbook.outcome);
  const unanswered = incident.escalations.some((why) => why.startsWith('nobody acknowledged'));
  return {
    contributing: [
      ...incident.findings.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`),
      ...incident.contributing,
    ],
    worked: [
      ...(incident.firstAcknowledgedAt !== undefined && !unanswered
        ? ['it was acknowledged without going up the ladder']
        : []),
      ...(ended !== undefined && !bad ? [ended] : []),
      ...(resolved !== undefined && resolved.override === undefined
        ? [`the end was verified: ${resolved.proof}`]
        : []),
      ...incident.worked,
    ],
    failed: [
      ...incident.escalations,
      ...undelivered(timeline),
      ...(ended !== undefined && bad ? [ended] : []),
      ...timeline
        .filter(({ title, status }) => title === 'Is it over?' && status === 'failed')
        .map(({ detail }) => `it was called over too early: ${detail}`),
      ...incident.reopened.map(({ by, reason }) => `it had to be reopened by ${by}: ${reason}`),
      ...(resolved?.override === undefined
        ? []
        : [`it was closed without proof (${resolved.proof}): ${resolved.override}`]),
      ...incident.failed,
    ],
  };
}

function undelivered(timeline: TimelineEntry[]): string[] {
  const lost = timeline.filter(({ title }) => /^(A message did not arrive|Nobody could be )/.test(title));
  return [...new Set(lost.map(({ title, detail }) => `${title}: ${detail?.split('\n')[0]}`))];
}
