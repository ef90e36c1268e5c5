import type { ListrTask } from 'listr2' with { 'resolution-mode': 'import' };
import type { Example } from '../../examples/example';
import { stopSignal } from '../host/stop-signal';
import { readableFact } from '../report/text/facts';
import { printable } from '../contract/printable';
import type { RunStatus } from '../contract/report';
import { utc } from '../contract/text';
import { applySchedules } from '../schedules/apply';
import { diffSchedules } from '../schedules/diff';
import { readSchedules, type ScheduleState } from '../schedules/read';
import { logBriefly } from '../worker/log';
import { runAddress, waitingAddress } from '../contract/ui-address';
import { showSteps } from './show-steps';
import { createStack, type ExampleStack } from './stack';
import { TOUR, verdictLine, visit, type StopResult } from './tour';

export interface UpOptions {
  example: Example;
  /** Run the tour on the booking sample. */
  tour?: boolean;
  /** End after the tour instead of staying up. */
  exit?: boolean;
  /** Keep everything in this folder. */
  data?: string;
}

/** Brings the embedded stack up, runs the tour, stays until Ctrl-C. Returns the exit status: 0 when all went as it should. */
export async function up({ example, tour = false, exit = false, data }: UpOptions): Promise<number> {
  logBriefly('ERROR');
  const { steps, stack, stop } = createStack(example, { directory: data, intake: true });
  const results: StopResult[] = [];
  const interrupted = stopSignal(['SIGINT', 'SIGTERM', 'SIGHUP']);
  const tasks: ListrTask[] = steps.map(({ title, start }) => ({
    title,
    task: (_, task) => start((doing) => (task.output = doing)),
  }));
  tasks.push({
    title: 'Schedules of the configuration',
    task: async () => {
      const { client, config } = stack();
      await applySchedules(client, config, await diffSchedules(client, config));
    },
  });
  if (tour) {
    for (const place of TOUR) {
      tasks.push({
        title: place.title,
        task: async (_, task) => {
          let shown = '';
          const result = await visit(stack().client, stack().config.temporal.taskQueue, place, (status) => {
            const now = describeNow(status);
            if (now !== shown) task.output = shown = printable(now);
          });
          results.push(result);
          task.title = `${place.title}: ${result.report.outcome}`;
          if (result.report.outcome !== place.expected)
            throw new Error(
              `${place.title}: ${result.report.outcome}, and not ${place.expected} as it should`,
            );
        },
        // The others are worth seeing all the same.
        exitOnError: false,
      });
    }
  }
  try {
    const ended = await Promise.race([
      showSteps(tasks).then(() => 'ready' as const),
      interrupted.then(() => 'interrupted' as const),
    ]);
    if (ended === 'interrupted') return 130;
    if (tour) printSummary(stack(), results);
    if (!exit) {
      const { client, config } = stack();
      printWhatNow(stack(), results, await readSchedules(client, config), data);
      await interrupted;
    }
    return results.every((result) => result.report.outcome === result.expected) ? 0 : 1;
  } finally {
    await stop();
  }
}

function describeNow({ timeline, summary }: RunStatus): string {
  const last = timeline.at(-1);
  return summary.startsWith('waiting')
    ? (summary.split(':')[0] ?? '')
    : `${last?.movement ?? ''}: ${last?.title ?? ''}`;
}

/** Facts that say how well it went; the report has all of them. */
const SHOWN_FACTS = /rto|rpo|restoreSeconds|validationSeconds|othersBlocked/i;

function printSummary({ temporal }: ExampleStack, results: StopResult[]): void {
  for (const result of results) {
    const { report, workflowId, runId } = result;
    console.log(`\n${verdictLine(result)}`);
    console.log(printable(`    ${report.outcome}: ${report.summary}`));
    const facts = Object.entries(report.facts).filter(([name]) => SHOWN_FACTS.test(name));
    const shown = facts
      .map(([name, value]) => readableFact(name, value))
      .map(({ label, value }) => `${label}: ${value}`);
    if (shown.length > 0) console.log(printable(`    ${shown.join(', ')}`));
    console.log(`    ${runAddress(temporal.uiUrl, 'default', workflowId, runId)}`);
  }
}

function printWhatNow(
  { temporal, example, inbox, intake, intakeLog, environmentFile }: ExampleStack,
  results: StopResult[],
  schedules: ScheduleState[],
  kept: string | undefined,
): void {
  const last = results.at(1)?.workflowId;
  const idWidth = Math.max(0, ...schedules.map(({ id }) => id.length));
  const next = schedules.map(
    ({ id, nextAt }) =>
      `  ${id.padEnd(idWidth)}  ${nextAt === undefined ? 'paused' : `${utc(nextAt).slice(0, 16)} UTC`}`,
  );
  const addresses = Object.entries(example.addresses).map(([label, url]) => `${label.padEnd(20)}${url}\n`);
  const steps = example.firstSteps.map((line) => (line === '' ? '' : `  ${line}`));
  if (last !== undefined) steps.push('', `  runbooks report ${last} --html --out report.html`);
  console.log(`
Temporal UI         ${temporal.uiUrl}
Runs that wait for people
  ${waitingAddress(temporal.uiUrl, 'default')}
Messages to people  ${inbox.url}
${addresses.join('')}Alerts              ${intake?.url ?? ''}/alerts
  what it refused: ${intakeLog ?? ''}
${next.length === 0 ? '' : `\nStarts by itself (\`runbooks schedules list\`):\n${next.join('\n')}\n`}
In another terminal, first:
  . ${environmentFile}

  runbooks list
${steps.join('\n')}

Ctrl-C stops everything${kept === undefined ? ', and deletes its data: databases, backups, runs.\n`--data <folder>` keeps them.' : `; ${kept} keeps its data.`}`);
}
