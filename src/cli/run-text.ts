import { ledIncident } from '../report/text/postmortem';
import type { Plan, TimelineEntry, Waiting } from '../contract/report';
import { duration, utc } from '../contract/text';
import { incidentText } from './incident-text';
import { styledOutcome, type Output } from './output';
import { answerCommands } from '../contract/answer-commands';
import type { RunView } from './read-run';
import { formatTable, hang, pasteLines, textWidth, wrap, wrapLines } from './table';

const MARKS: Record<TimelineEntry['status'], string> = {
  running: '▶',
  done: '✔',
  failed: '✖',
  waiting: '⏸',
  note: '·',
};
const STYLES: Record<TimelineEntry['status'], Parameters<Output['style']>[0]> = {
  running: 'blue',
  done: 'green',
  failed: 'red',
  waiting: 'yellow',
  note: 'dim',
};

/** One line of a run's progress; several where it is wider than that. */
export function entryText(output: Output, entry: TimelineEntry, width = Infinity, now = Date.now()): string {
  const end = entry.endedAt === undefined ? now : Date.parse(entry.endedAt);
  const took = entry.status === 'note' ? '' : duration(Math.max(0, end - Date.parse(entry.startedAt)));
  const detail = entry.detail === undefined ? [] : [output.style('dim', entry.detail.replace(/\s+/g, ' '))];
  const mark = output.style(STYLES[entry.status], MARKS[entry.status]);
  const movement = entry.movement.padEnd(8);
  const shown = entry.movement === 'undo' ? output.style('magenta', movement) : output.style('dim', movement);
  const title = `${entry.title}${took === '' ? '' : output.style('dim', ` (${took})`)}`;
  return hang(`${utc(entry.startedAt).slice(11)} ${mark} ${shown} `, [title, ...detail], width);
}

/** What a run waits for, with the exact commands. */
export function waitingText(
  output: Output,
  workflowId: string,
  waiting: Waiting,
  width = process.stdout.columns,
): string {
  const lines = [
    output.style(['yellow', 'bold'], `Waits for a person: ${waiting.kind}`),
    ...wrap(waiting.question, textWidth(width) - 2).map((line) => `  ${line}`),
    `  until ${utc(waiting.expiresAt)} UTC`,
    ...answerCommands(workflowId, waiting)
      .flatMap((command) => pasteLines(command, '    ', width))
      .map((line) => output.style('bold', line)),
  ];
  return lines.join('\n');
}

export function planText(plan: Plan, width = process.stdout.columns): string {
  const rows = plan.actions.map(({ action, target, count, detail }, index) => [
    String(index + 1),
    action,
    target,
    [count === undefined ? '' : `${count}`, detail ?? ''].filter((part) => part !== '').join(' · '),
  ]);
  const warnings = plan.warnings.map(
    (warning) => `  ! ${wrap(warning, textWidth(width) - 4).join('\n    ')}`,
  );
  // Hazards first: there may be many actions.
  return [
    `Plan ${plan.hash}`,
    ...warnings,
    formatTable(['#', 'action', 'target', 'detail'], rows, width),
  ].join('\n');
}

function incidentLines(output: Output, report: RunView['report']): string[] {
  const incident = ledIncident(report);
  return incident === undefined ? [] : ['', incidentText(output, report, incident)];
}

/** A run at length: head, plan, timeline, what it waits for. */
export function runText(output: Output, { report, answered, status }: RunView): string {
  const outcome = report.outcome ?? status;
  const parts = [
    `${styledOutcome(output, outcome)}  ${report.title}${report.service === '' ? '' : `: ${report.service}`}`,
    ...wrapLines(report.summary, textWidth()),
    `mode ${report.mode}, started ${utc(report.startedAt)} UTC by ${report.startedBy}${report.endedAt === undefined ? '' : `, ended ${utc(report.endedAt)} UTC`}`,
    ...(answered
      ? []
      : ['No worker answers: this is what the history knows. Start one with `runbooks worker`.']),
    ...incidentLines(output, report),
    ...(report.plan === undefined ? [] : ['', planText(report.plan)]),
    '',
    ...report.timeline.map((entry) => entryText(output, entry, process.stdout.columns)),
    ...(report.waiting ?? []).flatMap((waiting) => ['', waitingText(output, report.workflowId, waiting)]),
  ];
  return parts.join('\n');
}
