import { openDuties, type IncidentRecord } from '../contract/incident';
import { clockRows, standingOf } from '../report/text/postmortem';
import type { RunReport } from '../contract/report';
import { utc } from '../contract/text';
import type { Output } from './output';
import { quote } from '../contract/answer-commands';
import { formatTable } from './table';

/** How it stands with an incident, and the commands that make sense now. */
export function incidentText(output: Output, report: RunReport, incident: IncidentRecord): string {
  const { word, tone } = standingOf(report, incident);
  const { severity, commander, acknowledged, nextUpdateAt, runbook } = incident;
  const style = tone === 'alarm' ? ['white' as const, 'bgRed' as const, 'bold' as const] : 'bold';
  const rows = [
    ['commander', commander ?? 'nobody'],
    ['acknowledged', acknowledged === undefined ? 'by nobody' : `by ${acknowledged.by}`],
    ['impact', incident.impact || 'not known yet'],
    ['scope', incident.scope || 'not known yet'],
    ['measured', incident.measured],
    ...(runbook === undefined ? [] : [['runbook', `${runbook.outcome ?? 'running'}: ${runbook.workflowId}`]]),
    ...(nextUpdateAt === undefined ? [] : [['next update', `${utc(nextUpdateAt)} UTC`]]),
    ...clockRows(incident).map(({ label, took }) => [label.toLowerCase(), took]),
  ];
  return [
    `${output.style(style, ` ${severity} ${word} `)} ${incident.title}`,
    formatTable(['', ''], rows).replace(/^\n/, ''),
    ...openDuties(incident, Date.now()).map((duty) => `  to do: ${duty}`),
    ...commandsOf(report.workflowId, word, incident).map((command) => `    ${output.style('bold', command)}`),
  ].join('\n');
}

function commandsOf(workflowId: string, word: string, { acknowledged, meeting }: IncidentRecord): string[] {
  const id = quote(workflowId);
  if (word === 'OPEN')
    return [
      ...(acknowledged === undefined ? [`runbooks incident ack ${id}`] : []),
      `runbooks incident update ${id} "what is being done"`,
      `runbooks incident resolve ${id} --note "what ended it"`,
    ];
  if (word !== 'RESOLVED') return [];
  return [
    ...(meeting?.at === undefined ? [`runbooks incident meeting ${id} --at <time>`] : []),
    `runbooks incident fact ${id} rootCause "why it happened"`,
    `runbooks incident close-action ${id} A1`,
    `runbooks report ${id} --html --out postmortem.html`,
  ];
}
