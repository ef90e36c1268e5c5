import { setTimeout as sleep } from 'node:timers/promises';
import { printable } from '../contract/printable';
import type { TimelineEntry, Waiting } from '../contract/report';
import type { Temporal } from './connect';
import { EXIT, exitCodeOf, type ExitCode } from './errors';
import { styledOutcome, type Output } from './output';
import { entryText, planText, waitingText } from './run-text';
import { hang, pasteLines } from './table';
import { stopSignal } from '../host/stop-signal';
import { quote } from '../contract/answer-commands';
import { readRun, type RunView } from './read-run';

const POLL_MS = 1_000;

/** Follows a run until it ends. Redrawn on a terminal, plain lines elsewhere. Returns the exit code of its outcome. */
export async function watchRun(
  temporal: Temporal,
  output: Output,
  workflowId: string,
  runId?: string,
): Promise<ExitCode> {
  const first = await readRun(temporal, workflowId, runId);
  // The same run to the end, even when the ID is used again.
  const read = () => readRun(temporal, workflowId, first.runId);
  const last = output.interactive
    ? await watchLive(read, first, output)
    : await watchPlain(read, first, output);
  if (last === undefined) return left(output, workflowId);
  output.document(last.report);
  const { outcome, plan } = last.report;
  // The live display shows the plan only while it waits for an answer, and is gone by now.
  if (output.interactive && outcome === 'OBSERVED' && plan !== undefined) output.line(planText(plan));
  const outcomeText = styledOutcome(output, outcome ?? last.status);
  output.line(hang(`${outcomeText}  `, [last.report.summary]));
  output.hint(
    `Report:\n${pasteLines(`runbooks report ${quote(workflowId)} --html --out report.html`, '  ').join('\n')}`,
  );
  return exitOf(last);
}

/** Whoever has seen enough leaves a run that goes on. */
function left(output: Output, workflowId: string): ExitCode {
  output.hint(`It goes on. To see it again: runbooks watch ${quote(workflowId)}`);
  return EXIT.success;
}

const exitOf = ({ report, status }: RunView): ExitCode =>
  exitCodeOf(report.outcome ?? (status === 'RUNNING' ? undefined : status));

async function watchPlain(read: () => Promise<RunView>, first: RunView, output: Output): Promise<RunView> {
  const printed = new Map<string, string>();
  const asked = new Set<string>();
  let silent = false;
  let plan: string | undefined;
  for (let view = first; ; view = await read()) {
    for (const entry of view.report.timeline) printChange(entry, printed, output);
    if (view.report.plan !== undefined && view.report.plan.hash !== plan)
      output.line(planText(view.report.plan));
    plan = view.report.plan?.hash;
    for (const waiting of view.report.waiting ?? []) printQuestion(view, waiting, asked, output);
    if (!view.answered && !silent)
      output.hint('No worker answers; waiting for one. Start it with `runbooks worker`.');
    silent = !view.answered;
    if (view.status !== 'RUNNING') return view;
    await sleep(POLL_MS);
  }
}

function printChange(entry: TimelineEntry, printed: Map<string, string>, output: Output): void {
  const key = `${entry.startedAt} ${entry.title}`;
  if (printed.get(key) === entry.status) return;
  printed.set(key, entry.status);
  output.line(entryText(output, entry));
}

function printQuestion({ report }: RunView, waiting: Waiting, asked: Set<string>, output: Output): void {
  if (asked.has(waiting.id)) return;
  asked.add(waiting.id);
  output.line(waitingText(output, report.workflowId, waiting));
}

// Lines of a terminal that are kept free for the headline and what the run waits for.
const RESERVED_LINES = 14;
/** Columns that the display puts in front of each line, and does not write in. */
const RESERVED_COLUMNS = 8;

/** The end of the run; undefined where somebody pressed Ctrl-C before. */
async function watchLive(
  read: () => Promise<RunView>,
  first: RunView,
  output: Output,
): Promise<RunView | undefined> {
  const { Listr } = await import('listr2');
  let last = first;
  let hasLeft = false;
  const leaving = stopSignal(['SIGINT']).then(() => (hasLeft = true));
  const task = {
    title: printable(headline(first)),
    rendererOptions: { outputBar: Infinity, persistentOutput: true },
    task: async (_: unknown, self: { title: string; output: string; skip: (title: string) => void }) => {
      for (let frame = ''; !hasLeft; last = await read()) {
        const next = frameOf(last, output);
        self.title = printable(headline(last));
        // Assigning adds to what is shown; an unchanged frame must not.
        if (next !== frame) self.output = next;
        frame = next;
        if (last.status !== 'RUNNING') {
          // Its mark must not be the green one above a run that failed.
          if (exitOf(last) !== EXIT.success) throw new Error(self.title);
          return;
        }
        await Promise.race([sleep(POLL_MS), leaving]);
      }
      self.skip(self.title);
    },
  };
  await new Listr([{ ...task, rendererOptions: { outputBar: 1, persistentOutput: true } }], {
    exitOnError: false,
    registerSignalListeners: false,
    rendererOptions: { formatOutput: 'truncate', collapseSubtasks: false, showErrorMessage: false },
  }).run();
  return hasLeft ? undefined : last;
}

function headline({ report, answered }: RunView): string {
  const title = `${report.title}${report.service === '' ? '' : `: ${report.service}`}`;
  return answered ? title : `${title} (no worker answers; start one with \`runbooks worker\`)`;
}

function frameOf(view: RunView, output: Output): string {
  const { report } = view;
  const columns =
    process.stdout.columns === undefined ? undefined : process.stdout.columns - RESERVED_COLUMNS;
  const room = Math.max(5, (process.stdout.rows ?? 40) - RESERVED_LINES);
  const asked = (report.waiting ?? []).some(({ kind }) => kind === 'approval') ? report.plan : undefined;
  const lines = asked === undefined ? [] : planText(asked, columns).split('\n');
  // Nobody is to approve what is not shown without knowing that there is more.
  const rest = `(${lines.length - room + 1} more lines: \`runbooks status <id>\` has them)`;
  const plan = lines.length > room ? [...lines.slice(0, room - 1), rest] : lines;
  const left = room - plan.length;
  const shown = left <= 0 ? [] : report.timeline.slice(-left).map((entry) => entryText(output, entry));
  const hidden = report.timeline.length - shown.length;
  return [
    ...plan,
    ...(hidden > 0 ? [`(${hidden} earlier steps)`] : []),
    ...shown,
    ...(report.waiting ?? []).map((waiting) => waitingText(output, report.workflowId, waiting, columns)),
  ].join('\n');
}
