import { answerCommands } from '../../contract/answer-commands';
import type { Offer, Plan, RunStatus, TimelineEntry, Waiting } from '../../contract/report';
import { addressLength, code, inline, shortened, wellFormed } from './details-text';
import { duration, utc } from '../../contract/text';

/**
 * The UI asks for Current Details by an address that contains them, and proxies in front of it take 8 kB (nginx) to 16 kB.
 * What a person must read before answering is never cut; the timeline gets what is left.
 */
const ADDRESS_BUDGET = 7_500;
/** Newest lines of the timeline that are shown in any case. */
const LEAST_LINES = 5;
const DETAIL_BUDGET = 400;

const MARKS: Record<TimelineEntry['status'], string> = {
  running: '▶',
  done: '✔',
  failed: '✖',
  waiting: '⏸',
  note: '·',
};

const KINDS: Record<Waiting['kind'], string> = {
  approval: 'an approval',
  decision: 'a decision',
  task: 'a task to be done by hand',
  paused: 'the end of a pause',
};

/**
 * Markdown for the run's Current Details: what it waits for first, because that is what someone came to read. Lists and
 * no tables: the pane is narrow, and not every version of the UI has a style for tables, or tables at all.
 */
export function renderDetails(status: RunStatus): string {
  const parts = [`# ${inline(titleOf(status))}`, headline(status)];
  parts.push(...(status.sections ?? []));
  for (const waiting of status.waiting) parts.push(renderWaiting(status.workflowId, waiting));
  if (status.plan !== undefined) parts.push(renderPlan(status.plan));
  parts.push(...renderOffers(status.offers));
  const before = parts.join('\n\n');
  const timeline = renderTimeline(status, ADDRESS_BUDGET - addressLength(before));
  return wellFormed(timeline === '' ? before : `${before}\n\n${timeline}`);
}

function titleOf({ title, service }: RunStatus): string {
  return service === '' ? title : `${title}: ${service}`;
}

function headline(status: RunStatus): string {
  const { mode, startedBy, startedAt } = status;
  const by = startedBy === '' ? '' : ` by ${inline(startedBy)}`;
  return `${stateOf(status)}\n\nMode ${code(mode)}, started${by} at ${utc(startedAt)} UTC. All times are UTC.`;
}

function stateOf({ outcome, summary, waiting, timeline }: RunStatus): string {
  if (outcome !== undefined) return `**${outcome}**: ${inline(summary)}`;
  if (waiting.length > 0) return '**Waiting for a person.** Nothing goes on before somebody answers.';
  const doing = timeline.findLast(({ status }) => status === 'running');
  // Any other summary says what it waits for, such as a lease or the end of a pause.
  if (summary !== 'running' || doing === undefined) return `**Now**: ${inline(summary)}`;
  return `**Now**: ${inline(doing.title)}, since ${utc(doing.startedAt).slice(11)}`;
}

function renderWaiting(workflowId: string, waiting: Waiting): string {
  const { kind, question, choices = [], harmless = [], mustBeSigned = false, expiresAt } = waiting;
  const parts = [`## Waiting for ${KINDS[kind]}`, `**${inline(question)}**`];
  if (choices.length > 0) parts.push(`Choices: ${choices.map(code).join(', ')}`);
  if (harmless.length > 0 && harmless.length < choices.length)
    parts.push(`Anybody may choose ${harmless.map(code).join(', ')}; the others let something happen.`);
  parts.push(...(mustBeSigned ? howToSign(workflowId, waiting) : howToSend(waiting)));
  parts.push(`Until **${utc(expiresAt)} UTC**. No answer by then is never a yes.`);
  return parts.join('\n\n');
}

function howToSend({ kind, update }: Pick<Waiting, 'kind' | 'update'>): string[] {
  const how = `To answer: **More Actions**, **Send an Update**, name **${update.name}**, and as data, with your own name:`;
  const reject = 'To refuse, send **reject** with the same data; `"note"` may say why in either.';
  return [how, dataOf(update.argument), ...(kind === 'approval' ? [reject] : [])];
}

/** Only the command line has the keys; what stops is taken from here too. */
function howToSign(workflowId: string, waiting: Waiting): string[] {
  const { kind, update, harmless = [] } = waiting;
  const choices = (waiting.choices ?? []).filter((choice) => !harmless.includes(choice));
  const commands = answerCommands(workflowId, { ...waiting, choices });
  const signed = kind === 'approval' ? commands.slice(0, 1) : commands;
  const [choice] = harmless;
  const parts = [
    '**A signature is needed.** To answer, on a machine that has your key:',
    signed.map((command) => `- ${code(command)}`).join('\n'),
  ];
  if (kind === 'approval')
    parts.push(
      'To refuse, **Send an Update** named **reject**, with your own name:',
      dataOf(update.argument),
    );
  if (choice !== undefined)
    parts.push(
      `For ${code(choice)}, **Send an Update** named **${update.name}**:`,
      dataOf({ ...update.argument, choice }),
    );
  return parts;
}

function dataOf(argument: Record<string, string>): string {
  return `\`\`\`json\n${JSON.stringify(argument)}\n\`\`\``;
}

function renderPlan({ hash, actions, warnings }: Plan): string {
  const lines = actions.map(({ action, target, count, detail }, index) => {
    const more = [count === undefined ? '' : `${count}×`, detail ?? ''].filter((part) => part !== '');
    const end = more.length === 0 ? '' : `: ${inline(more.join(', '))}`;
    return `${index + 1}. **${inline(action)}** on **${inline(target)}**${end}`;
  });
  const parts = [`## Plan ${code(hash)}`, lines.join('\n')];
  if (warnings.length > 0)
    parts.push('**Warnings**', warnings.map((warning) => `- ⚠ ${inline(warning)}`).join('\n'));
  return parts.join('\n\n');
}

/** What a person may say to the run although it does not wait for it, with the data to paste. */
function renderOffers(offers: Offer[] = []): string[] {
  if (offers.length === 0) return [];
  const lines = offers.map(
    ({ name, what, argument }) => `- **${name}** (${inline(what)}): ${code(JSON.stringify(argument))}`,
  );
  const how = 'By **More Actions**, **Send an Update**: the name, and as data, with your own words:';
  return ['## Messages it takes', how, lines.join('\n')];
}

function renderTimeline({ timeline, startedAt }: RunStatus, room: number): string {
  if (timeline.length === 0) return '';
  const lines: string[] = [];
  let left = room - addressLength('\n\n## Timeline (999 earlier lines: runbooks report)\n\n');
  for (const entry of timeline.toReversed()) {
    const line = renderEntry(entry, startedAt.slice(0, 10));
    left -= addressLength(`${line}\n`);
    if (left < 0 && lines.length >= LEAST_LINES) break;
    lines.unshift(line);
  }
  const hidden = timeline.length - lines.length;
  const earlier =
    hidden === 0 ? '' : ` (${hidden} earlier ${hidden === 1 ? 'line' : 'lines'}: runbooks report)`;
  return `## Timeline${earlier}\n\n${lines.join('\n')}`;
}

function renderEntry(
  { title, movement, status, startedAt, endedAt, detail = '' }: TimelineEntry,
  firstDay: string,
) {
  const at = utc(startedAt);
  // A run may wait for days: a time alone would be of the wrong one.
  const time = code(at.startsWith(firstDay) ? at.slice(11) : at);
  const took =
    endedAt === undefined || status === 'note'
      ? ''
      : ` (${duration(Date.parse(endedAt) - Date.parse(startedAt))})`;
  const name = status === 'failed' ? `**failed: ${inline(title)}**` : inline(title);
  const undo = movement === 'undo' ? ' ↩ undo:' : '';
  // The question stands above in full while it is open.
  const more = detail === '' || status === 'waiting' ? '' : `: ${shortened(detail, DETAIL_BUDGET)}`;
  return `- ${time} ${MARKS[status]}${undo} ${name}${took}${more}`;
}
