import type { RunStatus, TimelineEntry, Waiting } from '../../report/types';
import { duration, utc } from './format';

const MARKS: Record<TimelineEntry['status'], string> = {
  running: '▶ running',
  done: '✔ done',
  failed: '✖ failed',
  waiting: '⏸ waiting',
  note: '· note',
};

/** Lines of the timeline shown in the UI; the report has all of them. */
const SHOWN_LINES = 40;

/** Markdown for the run's Current Details: what it waits for first, because that is what someone came to read. */
export function renderDetails(status: RunStatus): string {
  const parts = [`# ${status.title}${status.service === '' ? '' : `: ${status.service}`}`, headline(status)];
  for (const waiting of status.waiting) parts.push(renderWaiting(waiting));
  if (status.plan !== undefined) parts.push(renderPlan(status));
  parts.push(renderTimeline(status.timeline));
  return parts.join('\n\n');
}

function headline(status: RunStatus): string {
  const outcome = status.outcome === undefined ? '' : `**${status.outcome}**: `;
  return `${outcome}${escapeText(status.summary)}\n\nMode \`${status.mode}\`, started by ${escapeText(status.startedBy)} at ${utc(status.startedAt)} UTC.`;
}

function renderWaiting(waiting: Waiting): string {
  const lines = [`## Waiting for a person: ${waiting.kind}`, escapeText(waiting.question)];
  if (waiting.choices !== undefined)
    lines.push(`Choices: ${waiting.choices.map((choice) => `\`${choice}\``).join(', ')}`);
  lines.push(
    `Until ${utc(waiting.expiresAt)} UTC. In "Send an Update" choose **${waiting.update.name}** and paste, with your own name:`,
    `\`\`\`json\n${JSON.stringify(waiting.update.argument)}\n\`\`\``,
  );
  if (waiting.kind === 'approval') lines.push('To refuse, send **reject** with the same JSON.');
  return lines.join('\n\n');
}

function renderPlan(status: RunStatus): string {
  const { plan } = status;
  if (plan === undefined) return '';
  const rows = plan.actions.map(({ action, target, count, detail }, index) =>
    row([
      String(index + 1),
      action,
      target,
      [count === undefined ? '' : String(count), detail ?? ''].filter(Boolean).join(' · '),
    ]),
  );
  const table = [
    `## Plan \`${plan.hash}\``,
    '',
    row(['#', 'action', 'target', 'detail']),
    '|---|---|---|---|',
    ...rows,
  ];
  const warnings = plan.warnings.map((warning) => `- ⚠ ${escapeText(warning)}`);
  return [...table, ...(warnings.length > 0 ? ['', ...warnings] : [])].join('\n');
}

function renderTimeline(timeline: TimelineEntry[]): string {
  const shown = timeline.slice(-SHOWN_LINES);
  const rows = shown.map((entry) => {
    const took =
      entry.endedAt === undefined ? '' : duration(Date.parse(entry.endedAt) - Date.parse(entry.startedAt));
    return row([utc(entry.startedAt).slice(11), MARKS[entry.status], entry.title, took, entry.detail ?? '']);
  });
  const hidden = timeline.length - shown.length;
  return [
    `## Timeline${hidden > 0 ? ` (${hidden} earlier lines in the report)` : ''}`,
    '',
    row(['UTC', '', 'step', 'took', 'detail']),
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function row(cells: string[]): string {
  return `| ${cells.map(escapeCell).join(' | ')} |`;
}

function escapeCell(text: string): string {
  return escapeText(text)
    .replace(/\|/g, '\\|')
    .replace(/\s*\n\s*/g, ' ');
}

/** Text from outside must not become markup in an operator's browser. */
function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
