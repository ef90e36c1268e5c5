import { openDuties, type IncidentRecord } from '../../../contract/incident';
import { code, inline, shortened, utc } from '../../kit';

const TEXT_BUDGET = 300;
const MAX_DUTIES = 8;

/** The state of an incident in the words of its status updates, for Current Details. */
export function renderIncident(incident: IncidentRecord): string {
  const { severity, title, commander, acknowledged, resolved, nextUpdateAt, runbook } = incident;
  const lines = [
    `since **${utc(incident.startedAt)}**`,
    acknowledged === undefined
      ? '**nobody has acknowledged**'
      : `acknowledged by ${inline(acknowledged.by)} at ${utc(acknowledged.at)}`,
    `commander: ${commander === undefined ? '**nobody**' : `**${inline(commander)}**`}`,
    ...lineOf('impact', incident.impact),
    ...lineOf('scope', incident.scope),
    ...lineOf('measured', incident.measured),
    ...(runbook === undefined
      ? []
      : [
          `runbook: ${inline(runbook.runbook)}, ${runbook.outcome ?? 'running'}: ${code(runbook.workflowId)}`,
        ]),
    ...(resolved === undefined
      ? []
      : [
          `resolved by ${inline(resolved.by)} at ${utc(resolved.at)}: ${shortened(resolved.note, TEXT_BUDGET)}`,
        ]),
    ...(nextUpdateAt === undefined ? [] : [`next update by **${utc(nextUpdateAt)}**`]),
  ];
  const head = `## ${severity}: ${inline(title)}`;
  return [head, lines.map((line) => `- ${line}`).join('\n'), ...duties(incident)].join('\n\n');
}

function lineOf(name: string, text: string): string[] {
  return text === '' ? [] : [`${name}: ${shortened(text, TEXT_BUDGET)}`];
}

function duties(incident: IncidentRecord): string[] {
  const open = openDuties(incident, Date.now());
  if (open.length === 0) return [];
  const shown = open.slice(0, MAX_DUTIES).map((duty) => `- ${shortened(duty, TEXT_BUDGET)}`);
  const more = open.length > MAX_DUTIES ? [`- and ${open.length - MAX_DUTIES} more: runbooks report`] : [];
  return ['## Still to do', [...shown, ...more].join('\n')];
}
