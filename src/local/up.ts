import type { ListrTask } from 'listr2' with { 'resolution-mode': 'import' };
import { utc } from '../workflows/kit/format';
import type { RunStatus } from '../report/types';
import { logBriefly } from '../worker/log';
import { createStack, type Stack } from './stack';
import { TOUR, visit, type StopResult } from './tour';

export interface UpOptions {
  /** Run the tour on the booking sample. */
  tour?: boolean;
  /** End after the tour instead of staying up. */
  exit?: boolean;
  /** Keep everything in this folder. */
  data?: string;
  bookings?: number;
}

/** Brings the embedded stack up, runs the tour, stays until Ctrl-C. Returns the exit status: 0 when all went as it should. */
export async function up({ tour = false, exit = false, data, bookings }: UpOptions): Promise<number> {
  const { Listr } = await import('listr2');
  logBriefly('ERROR');
  const { steps, stack, stop } = createStack({ directory: data, bookings });
  const results: StopResult[] = [];
  const interrupted = onInterrupt();
  const tasks: ListrTask[] = steps.map(({ title, start }) => ({
    title,
    task: (_, task) => start((doing) => (task.output = doing)),
  }));
  if (tour) {
    for (const place of TOUR) {
      tasks.push({
        title: place.title,
        task: async (_, task) => {
          let shown = '';
          const result = await visit(stack().client, stack().config.temporal.taskQueue, place, (status) => {
            const now = describeNow(status);
            if (now !== shown) task.output = shown = now;
          });
          results.push(result);
          task.title = `${place.title}: ${result.report.outcome} in ${result.seconds.toFixed(1)} s`;
        },
      });
    }
  }
  try {
    const list = new Listr(tasks, {
      fallbackRenderer: 'simple',
      rendererOptions: {
        showErrorMessage: true,
        timer: {
          condition: true,
          field: (ms: number) => `${(ms / 1_000).toFixed(1)} s`,
          format: () => (text: unknown) => String(text),
        },
      },
    } as never);
    const ended = await Promise.race([
      list.run().then(() => 'ready' as const),
      interrupted.then(() => 'interrupted' as const),
    ]);
    if (ended === 'interrupted') return 130;
    if (tour) printSummary(stack(), results);
    if (!exit) {
      printWhatNow(stack());
      await interrupted;
    }
    return results.every((result) => result.report.outcome === result.expected) ? 0 : 1;
  } finally {
    await stop();
  }
}

function onInterrupt(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}

function describeNow({ timeline, summary }: RunStatus): string {
  const last = timeline.at(-1);
  return summary.startsWith('waiting')
    ? (summary.split(':')[0] ?? '')
    : `${last?.movement ?? ''}: ${last?.title ?? ''}`;
}

function printSummary({ temporal }: Stack, results: StopResult[]): void {
  console.log('');
  for (const { title, report, expected, workflowId, seconds } of results) {
    const asExpected = report.outcome === expected ? '✔' : `✖ expected ${expected}`;
    console.log(`${asExpected} ${title}`);
    console.log(`    ${report.outcome} in ${seconds.toFixed(1)} s, started ${utc(report.startedAt)} UTC`);
    console.log(`    ${report.summary}`);
    const facts = Object.entries(report.facts).filter(([name]) =>
      /rto|rpo|restoreSeconds|validationSeconds|blockedMs|backupBytes/i.test(name),
    );
    if (facts.length > 0) console.log(`    ${facts.map(([name, value]) => `${name} ${value}`).join(', ')}`);
    console.log(`    ${temporal.uiUrl}/namespaces/default/workflows/${encodeURIComponent(workflowId)}`);
  }
}

function printWhatNow({ temporal, configFile, app }: Stack): void {
  const runbooks = `npm run --silent runbooks -- --config ${configFile}`;
  console.log(`
Temporal UI   ${temporal.uiUrl}
Application   ${app.url}/health/ready
Configuration ${configFile}

Try, in another terminal:
  ${runbooks} list
  ${runbooks} describe drillRestore
  ${runbooks} start migrateDatabase --service booking --files 2026_11_02_index_deliveries_concurrently.sql --mode propose --watch
  ${runbooks} start migrateDatabase --service booking --files 2026_11_04_unsafe_type_change.sql --watch
  ${runbooks} report <workflow id> --html --out report.html

Ctrl-C stops everything.`);
}
