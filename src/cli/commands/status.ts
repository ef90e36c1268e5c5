import type { Command } from 'commander';
import type { Temporal } from '../connect';
import { exitCodeOf } from '../errors';
import type { RunReport } from '../../contract/report';
import { outputOf, styledOutcome, type Output } from '../output';
import { reach, type Reach } from '../settings';

// The newest are the ones somebody looks for.
const MAX_LISTED = 200;
const MAX_ENDED = 50;

interface Options {
  run?: string;
  ended?: boolean;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .argument('[id]', 'workflow ID; without it: every run that is open')
    .option('--run <run id>', 'one run of that ID; default: the newest')
    .option('--ended', `the newest ${MAX_ENDED} that have ended instead, with how`)
    .description('what is running and what it waits for, or one run in full')
    .action(async (id: string | undefined, { run, ended }: Options, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const output = outputOf(command);
      const reached = await reach(command);
      await withTemporal(reached, async (temporal) =>
        id !== undefined
          ? showOne(temporal, output, id, run)
          : ended === true
            ? listEnded(temporal, output, await queryOf(reached, '!='))
            : listOpen(temporal, output, await queryOf(reached, '=')),
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

/** The runs of runbooks; where nobody can tell which there are, of everything but the guards and the places. */
async function queryOf({ project, broken }: Reach, running: '=' | '!='): Promise<string> {
  if (broken) {
    const { GUARD_TYPE } = await import('../../contract/guard.js');
    const { PLACES_TYPE } = await import('../../contract/places.js');
    return `ExecutionStatus ${running} 'Running' AND WorkflowType NOT IN ('${GUARD_TYPE}', '${PLACES_TYPE}')`;
  }
  const { cards } = project?.catalogue ?? (await import('../../packs/own.js')).ownCatalogue;
  const types = cards.map(({ name }) => `'${name}'`).join(', ');
  return `ExecutionStatus ${running} 'Running' AND WorkflowType IN (${types})`;
}

/** As Temporal remembers them: their own last words are in the memo. */
async function listEnded({ client }: Temporal, output: Output, query: string): Promise<void> {
  const { formatTable } = await import('../table.js');
  const { utc } = await import('../../contract/text.js');
  const runs = [];
  for await (const { workflowId, runId, closeTime, status, memo } of client.workflow.list({ query })) {
    const { outcome, summary = '' } = (memo?.['report'] ?? {}) as Partial<RunReport>;
    const endedAt = closeTime?.toISOString() ?? '';
    runs.push({ workflowId, runId, endedAt, outcome: outcome ?? status.name, summary });
    if (runs.length >= MAX_ENDED) break;
  }
  output.document(runs);
  if (runs.length === 0) return output.line('No runbook has ended.');
  const rows = runs.map((run) => [
    run.workflowId,
    utc(run.endedAt),
    styledOutcome(output, run.outcome),
    run.summary,
  ]);
  output.line(formatTable(['run', 'ended (UTC)', 'outcome', 'summary'], rows));
}

async function listOpen(temporal: Temporal, output: Output, query: string): Promise<void> {
  const { answerCommands } = await import('../../contract/answer-commands.js');
  const { formatTable, pasteLines } = await import('../table.js');
  const { utc } = await import('../../contract/text.js');
  const { runs, more } = await readOpen(temporal, query);
  output.document(runs);
  if (more) output.warn(await moreText(temporal));
  for (const warning of await pausesIn(temporal)) output.warn(warning);
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
      for (const command of answerCommands(run.workflowId, waiting))
        output.line(pasteLines(command, '  ').join('\n'));
  }
}

/** What holds runs back, which are not here or go no further. The runs are listed whatever can be read of it. */
async function pausesIn({ client }: Temporal): Promise<string[]> {
  const { pauseText, standingPauses } = await import('../pauses.js');
  const { explainError } = await import('../explain-error.js');
  return standingPauses(client).then(
    (pauses) => pauses.map(pauseText),
    (error: unknown) => [`Whether something is paused could not be read. ${explainError(error).message}`],
  );
}

/** An older one may wait for somebody. */
async function moreText({ uiUrl, namespace }: Temporal): Promise<string> {
  const { waitingAddress } = await import('../../contract/ui-address.js');
  const all = uiUrl === undefined ? '' : `: ${waitingAddress(uiUrl, namespace)}`;
  return `Only the newest ${MAX_LISTED} are listed, and more are open. The Temporal UI has all that wait for people${all}`;
}

/** The first of them, and whether there are more. */
export async function firstOf<T>(all: AsyncIterable<T>, max: number): Promise<{ first: T[]; more: boolean }> {
  const first: T[] = [];
  for await (const one of all) {
    if (first.length === max) return { first, more: true };
    first.push(one);
  }
  return { first, more: false };
}

async function readOpen(temporal: Temporal, query: string) {
  const { queryStatus } = await import('../read-run.js');
  const { first, more } = await firstOf(temporal.client.workflow.list({ query }), MAX_LISTED);
  // Together: each may take until its deadline when no worker answers.
  const runs = await Promise.all(
    first.map(async ({ workflowId, runId, startTime }) => {
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
  return { runs, more };
}
