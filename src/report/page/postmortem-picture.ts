import type { IncidentRecord } from '../../contract/incident';
import type { RunReport, TimelineEntry } from '../../contract/report';

/** Steps that say nothing about the incident. */
const ROUTINE = /^(Read the input and the policy|Read how incidents are led here|Admission|SUCCEEDED)$/;
const DUE_UPDATE = /^Status update \d+: due$/;
const MAX_DUE_UPDATES = 8;

/**
 * The run's timeline as the picture of an incident: from the symptom to the resolution, with its phases on top and the
 * steps of the runbook that it started below it. What came afterwards took days and would leave no room for it.
 */
export function pictureOf(
  report: RunReport,
  incident: IncidentRecord,
  children: RunReport[] = [],
): RunReport {
  const end = incident.resolved?.at ?? report.endedAt;
  const own = report.timeline.filter(
    ({ title, startedAt }) => !ROUTINE.test(title) && (end === undefined || startedAt <= end),
  );
  const due = own.filter(({ title }) => DUE_UPDATE.test(title)).length;
  const shown = due > MAX_DUE_UPDATES ? own.filter(({ title }) => !DUE_UPDATE.test(title)) : own;
  const timeline = [
    ...phases(incident, end),
    ...shown.flatMap((entry) => [entry, ...stepsOf(entry, children)]),
  ];
  return {
    ...report,
    title: incident.title,
    startedAt: incident.startedAt,
    timeline,
    ...(end === undefined ? {} : { endedAt: end }),
  };
}

/** The whole of it spans the picture, so that the time between two steps keeps its length. */
function phases(incident: IncidentRecord, end: string | undefined): TimelineEntry[] {
  const { startedAt, openedAt, firstAcknowledgedAt, mitigatedAt, worst } = incident;
  const bar = (title: string, from: string, to: string | undefined, wait: boolean): TimelineEntry => ({
    title,
    movement: wait ? 'gate' : 'act',
    status: to !== undefined ? 'done' : wait ? 'waiting' : 'running',
    startedAt: from,
    ...(to === undefined ? {} : { endedAt: to }),
    // The chart hatches what ended like this.
    ...(wait ? { detail: 'elapsed' } : {}),
  });
  return [
    bar(`Incident ${worst}`, startedAt, end, false),
    ...(startedAt < openedAt ? [bar('Until somebody was paged', startedAt, openedAt, true)] : []),
    bar('Until it was acknowledged', openedAt, firstAcknowledgedAt ?? end, true),
    ...(mitigatedAt === undefined || mitigatedAt === end
      ? []
      : [bar('Until it was mitigated', startedAt, mitigatedAt, false)]),
  ];
}

function stepsOf({ detail, title }: TimelineEntry, children: RunReport[]): TimelineEntry[] {
  const child = children.find(({ runbook }) => title === `Runbook ${runbook}`);
  if (child === undefined || detail === undefined) return [];
  return child.timeline
    .filter((entry) => !ROUTINE.test(entry.title))
    .map((entry) => ({ ...entry, title: `↳ ${entry.title}` }));
}
