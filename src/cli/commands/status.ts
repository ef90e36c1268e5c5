import type { Command } from 'commander';
import type { Temporal } from '../connect';
import { exitCodeOf } from '../errors';
import { outputOf, type Output } from '../output';
import { catalogueOf, optionalConfig } from '../settings';
import type { Catalogue } from '../../catalogue/catalogue';

// Asked one after the other; the newest are the ones somebody looks for.
const MAX_LISTED = 200;

export function addStatus(program: Command): void {
  program
    .command('status')
    .argument('[id]', 'workflow ID; without it: every run that is open')
    .option('--run <run id>', 'one run of that ID; default: the newest')
    .description('what is running and what it waits for, or one run in full')
    .action(async (id: string | undefined, { run }: { run?: string }, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const output = outputOf(command);
      const catalogue = await catalogueOf(command);
      await withTemporal(await optionalConfig(command), (temporal) =>
        id === undefined ? listOpen(temporal, output, catalogue) : showOne(temporal, output, id, run),
      );
    });
}

async function showOne(
  temporal: Temporal,
  output: Output,
  id: string,
  run: string | undefined,
): Promise<void> {
  const { readRun } = await import('../read-run.js');
  const { runText } = await import('../run-text.js');
  const view = await readRun(temporal, id, run);
  output.document({ status: view.status, answered: view.answered, ...view.report });
  output.line(runText(output, view));
  process.exitCode = exitCodeOf(view.report.outcome);
}

async function listOpen(temporal: Temporal, output: Output, { cards }: Catalogue): Promise<void> {
  const { answerCommands } = await import('../../contract/answer-commands.js');
  const { formatTable } = await import('../table.js');
  const { utc } = await import('../../contract/text.js');
  const types = cards.map(({ name }) => `'${name}'`).join(', ');
  const runs = await readOpen(temporal, `ExecutionStatus = 'Running' AND WorkflowType IN (${types})`);
  output.document(runs);
  if (runs.length === 0) return output.line('No runbook is running.');
  const rows = runs.map((run) => [
    run.workflowId,
    utc(run.startedAt),
    run.waiting.length > 0 ? 'waits for a person' : 'running',
    run.summary,
  ]);
  output.line(formatTable(['run', 'started (UTC)', 'state', 'summary'], rows));
  for (const run of runs) {
    for (const waiting of run.waiting)
      output.line(
        answerCommands(run.workflowId, waiting)
          .map((command) => `  ${command}`)
          .join('\n'),
      );
  }
}

async function readOpen(temporal: Temporal, query: string) {
  const { queryStatus } = await import('../read-run.js');
  const open = [];
  for await (const info of temporal.client.workflow.list({ query })) {
    open.push(info);
    if (open.length >= MAX_LISTED) break;
  }
  // Together: each may take until its deadline when no worker answers.
  return Promise.all(
    open.map(async ({ workflowId, runId, startTime }) => {
      const status = await queryStatus(temporal, workflowId, runId);
      return {
        workflowId,
        runId,
        startedAt: startTime.toISOString(),
        service: status?.service ?? '',
        mode: status?.mode ?? '',
        summary: status?.summary ?? 'no worker answers; start one with `runbooks worker`',
        waiting: status?.waiting ?? [],
      };
    }),
  );
}
