import { formatTable } from './table';
import { EXIT, type ExitCode } from './errors';
import type { Output } from './output';
import type { ExplainedAlert, ExplainedRun } from './explain-alert';

/** Success when every alert has a run; not found where no route matches; usage where an input is refused. */
export function exitCodeOfRoutes(explained: ExplainedAlert[]): ExitCode {
  if (explained.some(({ run }) => run !== undefined && run.problems.length > 0)) return EXIT.usage;
  return explained.some(({ run }) => run === undefined) ? EXIT.notFound : EXIT.success;
}

/** The alert in short, each route with what it says, and the run. */
export function printRoutes(output: Output, explained: ExplainedAlert[]): void {
  explained.forEach((one, index) => {
    if (index > 0) output.line();
    printAlert(output, one, explained.length > 1 ? `Alert ${index + 1} of ${explained.length}: ` : '');
    printVerdicts(output, one);
    printEnd(output, one);
  });
}

function printAlert(output: Output, { alert, run }: ExplainedAlert, counter: string): void {
  const { source, fingerprint, startsAt, status, severity, title, labels } = alert;
  const state = output.style(status === 'firing' ? 'red' : 'green', status);
  output.line(`${counter}${output.style('bold', title || fingerprint)}  ${state}`);
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  printPairs(output, [
    ['source', source],
    ['fingerprint', fingerprint],
    ['since', startsAt ?? 'the sender does not say'],
    ['severity', `${severity || 'none'}${run?.workflowId === undefined ? '' : `, here ${run.severity}`}`],
    ['labels', pairs.join(', ') || 'none'],
  ]);
}

function printVerdicts(output: Output, { routes, notAsked }: ExplainedAlert): void {
  output.line('\nRoutes');
  const lines = routes.map(({ route, failed }): [string, string] =>
    failed === undefined
      ? [`${output.style('green', '✔')} ${route}`, 'matches']
      : [
          `${output.style('red', '✖')} ${route}`,
          `${failed.field}: wanted ${failed.wanted}, got ${failed.got === undefined ? 'nothing' : JSON.stringify(failed.got)}`,
        ],
  );
  lines.push(
    ...notAsked.map((route): [string, string] => [`· ${route}`, 'not asked, the first that matches decides']),
  );
  if (lines.length === 0) lines.push(['· none', 'write some under alerts.routes']);
  printPairs(output, lines);
}

function printEnd(output: Output, { alert, run }: ExplainedAlert): void {
  output.line();
  if (run === undefined) {
    output.line('No route matches: it would be logged and counted, and start nothing.');
  } else if (run.workflowId === undefined || (run.problems.length > 0 && alert.status === 'firing')) {
    output.line(`${output.style('red', 'Nothing would start:')} ${run.runbook} would refuse the input.`);
    for (const problem of run.problems) output.line(`  ${problem}`);
  } else if (alert.status === 'resolved') {
    output.line(`It is over: the run of this alert would be told, if it is open. Nothing would start.`);
    printPairs(output, [['workflow ID', run.workflowId]]);
  } else printRun(output, run);
}

function printRun(
  output: Output,
  { runbook, workflowId, mode, modeReason, input, again }: ExplainedRun,
): void {
  output.line(`${output.style('green', 'Would start')} ${output.style('bold', runbook)}`);
  printPairs(output, [
    ['workflow ID', workflowId ?? ''],
    ['mode', `${mode}: ${modeReason}`],
    ...Object.entries(input)
      .filter(([name]) => name !== 'mode')
      .map(([name, value]): [string, string] => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    ['comes again', again],
  ]);
}

/** Two columns without a head, the second one wrapped. */
function printPairs(output: Output, pairs: [string, string][]): void {
  const [, ...lines] = formatTable(
    ['', ''],
    pairs.map(([name, value]) => [`  ${name}`, value]),
  ).split('\n');
  output.line(lines.join('\n'));
}
