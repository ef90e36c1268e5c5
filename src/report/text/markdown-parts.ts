/** Pieces of Markdown that reports and post-mortems have in common. They also run inside workflows. */
import { printable, printableLine } from '../../contract/printable';
import { senderText } from './proof';
import { duration, utc } from '../../contract/text';
import { retriesOf, type RunHistory } from '../../contract/run-history';
import type { RunReport, TimelineEntry } from '../../contract/report';

const MARKS: Record<TimelineEntry['status'], string> = {
  running: '▶ running',
  done: '✔ done',
  failed: '✖ FAILED',
  waiting: '⏸ waiting',
  note: '· note',
};

export function timelineTable(report: RunReport, history: RunHistory | undefined): string {
  if (report.timeline.length === 0) return 'No step was recorded.';
  const head = ['UTC', 'movement', 'step', 'result', 'took', 'detail'];
  const rows = report.timeline.map((entry) => {
    const took =
      entry.endedAt === undefined || entry.status === 'note'
        ? ''
        : tookBetween(entry.startedAt, entry.endedAt);
    const detail = [entry.detail ?? '', ...retriesOf(entry, history)]
      .filter((part) => part !== '')
      .join('; ');
    return [utc(entry.startedAt), entry.movement, entry.title, MARKS[entry.status], took, detail];
  });
  return table(head, rows);
}

export function messageSection(history: RunHistory | undefined): string {
  if (history === undefined || history.messages.length === 0) return '';
  const rows = history.messages.map((one) => [
    utc(one.at),
    `${one.kind} ${one.name}`,
    senderText(one),
    one.argument,
    one.answer ?? '',
  ]);
  return section('Messages from outside', table(['UTC', 'message', 'by', 'argument', 'answer'], rows));
}

export function runSection(report: RunReport & { history?: RunHistory }): string {
  const rows = [
    ['runbook', report.runbook],
    ['workflow ID', report.workflowId],
    ['run ID', report.runId],
  ];
  const { history } = report;
  if (history !== undefined) {
    rows.push(
      ['status', history.status],
      ['task queue', history.taskQueue],
      ['history', `${history.events} events`],
    );
  }
  return section('Run', table(['', ''], rows));
}

export function tookBetween(from: string, to: string): string {
  return duration(Math.max(0, Date.parse(to) - Date.parse(from)));
}

export function section(title: string, body: string): string {
  return `## ${title}\n\n${body}`;
}

export function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map((cells) => line(cells.map(cell)))].join('\n');
}

function cell(value: string): string {
  // Its own backslashes first: they would take the effect of those that `text` adds.
  return text(value.replace(/\\/g, '\\\\').replace(/\s*\n\s*/g, ' ')).replace(/\|/g, '\\|');
}

/** An ID inside of code, where nothing can be escaped. */
export function plainId(id: string): string {
  return printableLine(id).replaceAll('`', "'");
}

/** Text from outside must not become markup where the Markdown is shown, nor a heading or the end of a section. */
export function text(value: string): string {
  return printable(value)
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/\[([^\]]*)\]\(/g, '\\[$1\\](')
    .replace(/^(\s*)(#|={3,}|-{3,}|`{3,}|~{3,}|\[[^\]\n]*\]:)/gm, '$1\\$2');
}
