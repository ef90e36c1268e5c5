/** The report as Markdown. Also runs inside workflows (the `postmortem` query): no Node built-ins here. */
import { duration, utc } from '../workflows/kit/format';
import { readableFact } from './facts';
import { meaningOf, nextSteps } from './outcomes';
import { retriesOf, type HistoryReport, type RunHistory } from './run-history';
import type { RunReport, RunStatus, TimelineEntry } from './types';

const MARKS: Record<TimelineEntry['status'], string> = {
  running: '▶ running',
  done: '✔ done',
  failed: '✖ FAILED',
  waiting: '⏸ waiting',
  note: '· note',
};

/**
 * A run's report in the order in which a post-mortem is read: what happened, how it ended, what to do next, timeline
 * (absolute UTC times, durations), plan and hash, approvals, measured facts. With `history`, also attempts and messages.
 */
export function renderMarkdown(
  report: RunReport & Partial<Pick<HistoryReport, 'history'> & Pick<RunStatus, 'waiting'>>,
): string {
  const sections = [
    `# ${text(report.title)}${report.service === '' ? '' : `: ${text(report.service)}`}`,
    headline(report),
    section('What happened', text(report.summary)),
    waitingSection(report),
    section(
      'What to do next',
      nextSteps(report)
        .map((step) => `- ${step}`)
        .join('\n'),
    ),
    section('Timeline', timelineTable(report, report.history)),
    planSection(report),
    approvalSection(report),
    factSection(report),
    messageSection(report.history),
    runSection(report),
  ];
  return `${sections.filter((part) => part !== '').join('\n\n')}\n`;
}

function headline(report: RunReport): string {
  const outcome = report.outcome ?? 'RUNNING';
  const lines = [
    `**${outcome}**: ${meaningOf(report).words}.`,
    [
      `Started ${utc(report.startedAt)} UTC by ${text(report.startedBy) || 'unknown'}`,
      report.endedAt === undefined ? 'not ended' : `ended ${utc(report.endedAt)} UTC`,
      report.endedAt === undefined ? '' : `took ${tookBetween(report.startedAt, report.endedAt)}`,
      `mode \`${report.mode}\``,
    ]
      .filter((part) => part !== '')
      .join(', ') + '.',
  ];
  return lines.join('\n\n');
}

function waitingSection({
  waiting = [],
  workflowId,
}: RunReport & { waiting?: RunStatus['waiting'] }): string {
  if (waiting.length === 0) return '';
  const parts = waiting.map(({ kind, question, choices, expiresAt, update }) =>
    [
      `**${kind}**: ${text(question)}`,
      choices === undefined ? '' : `Choices: ${choices.map(text).join(', ')}.`,
      `Until ${utc(expiresAt)} UTC. Update \`${update.name}\` of \`${workflowId}\` with:`,
      `\`\`\`json\n${JSON.stringify(update.argument)}\n\`\`\``,
    ]
      .filter((part) => part !== '')
      .join('\n\n'),
  );
  return section('Waits for a person', parts.join('\n\n'));
}

function timelineTable(report: RunReport, history: RunHistory | undefined): string {
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

function planSection({ plan }: RunReport): string {
  if (plan === undefined) return section('Plan', 'None was made.');
  const rows = plan.actions.map(({ action, target, count, detail }, index) => [
    String(index + 1),
    action,
    target,
    count === undefined ? '' : String(count),
    detail ?? '',
  ]);
  const warnings = plan.warnings.map((warning) => `- ⚠ ${text(warning)}`).join('\n');
  const body = [
    `Hash \`${plan.hash}\`.`,
    table(['#', 'action', 'target', 'count', 'detail'], rows),
    warnings,
  ];
  return section('Plan', body.filter((part) => part !== '').join('\n\n'));
}

function approvalSection({ approvals, mode }: RunReport): string {
  if (approvals.length === 0) {
    return section('Approvals', mode === 'auto' ? 'None: mode `auto` goes on without.' : 'None was given.');
  }
  const rows = approvals.map(({ plan, by, at, note }) => [utc(at), by, plan, note ?? '']);
  return section('Approvals', table(['UTC', 'by', 'plan', 'note'], rows));
}

function factSection({ facts }: RunReport): string {
  const rows = Object.entries(facts).map(([name, value]) => {
    const fact = readableFact(name, value);
    return [fact.label, fact.value];
  });
  return rows.length === 0 ? '' : section('Measured', table(['fact', 'value'], rows));
}

function messageSection(history: RunHistory | undefined): string {
  if (history === undefined || history.messages.length === 0) return '';
  const rows = history.messages.map(({ at, kind, name, by, argument, answer }) => [
    utc(at),
    `${kind} ${name}`,
    by,
    argument,
    answer ?? '',
  ]);
  return section('Messages from outside', table(['UTC', 'message', 'by', 'argument', 'answer'], rows));
}

function runSection(report: RunReport & { history?: RunHistory }): string {
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

function tookBetween(from: string, to: string): string {
  return duration(Math.max(0, Date.parse(to) - Date.parse(from)));
}

function section(title: string, body: string): string {
  return `## ${title}\n\n${body}`;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map((cells) => line(cells.map(cell)))].join('\n');
}

function cell(value: string): string {
  return text(value)
    .replace(/\\/g, '\\\\')
    .replace(/\|/g, '\\|')
    .replace(/\s*\n\s*/g, ' ');
}

/** Text from outside must not become markup where the Markdown is shown. */
function text(value: string): string {
  return value
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/\[([^\]]*)\]\(/g, '\\[$1\\](');
}
