/** The report as Markdown. Also runs inside workflows (the `postmortem` query): no Node built-ins here. */
import { printable } from '../../contract/printable';
import { utc } from '../../contract/text';
import { changesTitle, changeText } from './changes';
import { readableFact } from './facts';
import { meaningOf, nextSteps } from './outcomes';
import { proofText } from './proof';
import {
  messageSection,
  plainId,
  runSection,
  section,
  table,
  text,
  timelineTable,
  tookBetween,
} from './markdown-parts';
import { ledIncident } from './postmortem';
import { renderPostmortem } from './postmortem-markdown';
import type { HistoryReport } from '../../contract/run-history';
import type { RunReport, RunStatus } from '../../contract/report';

/**
 * A run's report in the order in which a post-mortem is read: what happened, how it ended, what to do next, timeline
 * (absolute UTC times, durations), plan and hash, approvals, measured facts. With `history`, also attempts and messages.
 * An incident has a post-mortem instead.
 */
export function renderMarkdown(
  given: RunReport & Partial<Pick<HistoryReport, 'history' | 'children'> & Pick<RunStatus, 'waiting'>>,
): string {
  const report = {
    ...given,
    workflowId: plainId(given.workflowId),
    ...(given.children === undefined
      ? {}
      : { children: given.children.map((one) => ({ ...one, workflowId: plainId(one.workflowId) })) }),
  };
  const incident = ledIncident(report);
  if (incident !== undefined) return renderPostmortem(report, incident);
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
    changesSection(report),
    factSection(report),
    messageSection(report.history),
    runSection(report),
  ];
  return printable(`${sections.filter((part) => part !== '').join('\n\n')}\n`);
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
  const rows = approvals.map((one) => [utc(one.at), one.by, proofText(one), one.plan, one.note ?? '']);
  return section('Approvals', table(['UTC', 'by', 'proof', 'plan', 'note'], rows));
}

function changesSection({ changes = [], outcome }: RunReport): string {
  if (changes.length === 0) return '';
  const rows = changes.map((change) => [utc(change.at), changeText(change), change.kind, change.step]);
  return section(changesTitle(outcome), table(['UTC', 'what', 'kind', 'step'], rows));
}

function factSection({ facts }: RunReport): string {
  const rows = Object.entries(facts).map(([name, value]) => {
    const fact = readableFact(name, value);
    return [fact.label, fact.value];
  });
  return rows.length === 0 ? '' : section('Measured', table(['fact', 'value'], rows));
}
