import { Option, type Command } from 'commander';
import type { Project } from '../../catalogue/catalogue';
import type { Difference } from '../../schedules/diff';
import type { Temporal } from '../connect';
import { CliError, EXIT } from '../errors';
import { outputOf, type Output } from '../output';
import { defaultName, requiredConfig } from '../settings';

interface Prune {
  prune?: boolean;
}

/** `schedules ...`: what starts by itself, as the configuration says. */
export function addSchedules(program: Command): void {
  const schedules = program
    .command('schedules')
    .description('what starts by itself, and when: apply, diff, list, run, pause, resume, backfill')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false });
  addApply(schedules);
  addDiff(schedules);
  schedules
    .command('list')
    .description('when each runs next, what came of the last runs, and which are late')
    .action((_: unknown, command: Command) => withSchedules(command, list));
  schedules
    .command('run')
    .argument('<id>', 'as in the configuration')
    .option('--by <name>', 'your name, for the four eyes of its approval', defaultName())
    .description('start a run now, unless one is going')
    .action((id: string, { by }: { by: string }, command: Command) =>
      withSchedules(command, (all) => run(all, id, by)),
    );
  addPauses(schedules);
  addBackfill(schedules);
}

interface Context {
  config: Project;
  temporal: Temporal;
  output: Output;
}

/** Connects; what was refused becomes a message and an exit code. */
async function withSchedules(command: Command, body: (context: Context) => Promise<void>): Promise<void> {
  const { withTemporal } = await import('../connect.js');
  const config = await requiredConfig(command);
  const output = outputOf(command);
  try {
    await withTemporal(config, (temporal) => body({ config, temporal, output }));
  } catch (error) {
    const { name, message, kind } = error as Error & { kind?: string };
    if (name !== 'ScheduleRefused' && name !== 'ScheduleNotApplied') throw error;
    throw new CliError(kind === 'notFound' ? EXIT.notFound : EXIT.usage, message);
  }
}

const prune = () =>
  new Option('--prune', 'also remove what was made from a configuration and is no longer in it');

function addApply(schedules: Command): void {
  schedules
    .command('apply')
    .addOption(prune())
    .description(
      'show the difference, then make the server match the configuration; a paused one stays paused',
    )
    .action((options: Prune, command: Command) =>
      withSchedules(command, async ({ config, temporal: { client }, output }) => {
        const { diffSchedules } = await import('../../schedules/diff.js');
        const { applySchedules } = await import('../../schedules/apply.js');
        const { pendingOf, printDifferences } = await import('../schedules-text.js');
        const differences = await diffSchedules(client, config);
        printDifferences(output, config, differences, options);
        await applySchedules(client, config, differences, options);
        const count = pendingOf(differences, options).length;
        output.document({ applied: count, ...documentOf(differences) });
        output.line(count === 0 ? 'Nothing to do.' : `Applied: ${count}.`);
        if (count > 0) output.hint('Look with: runbooks schedules list');
      }),
    );
}

function addDiff(schedules: Command): void {
  schedules
    .command('diff')
    .addOption(prune())
    .description('what apply would do; exit code 1 when that is something, 2 when it could not')
    .action((options: Prune, command: Command) =>
      withSchedules(command, async ({ config, temporal: { client }, output }) => {
        const { diffSchedules } = await import('../../schedules/diff.js');
        const { pendingOf, printDifferences } = await import('../schedules-text.js');
        const differences = await diffSchedules(client, config);
        output.document(documentOf(differences));
        printDifferences(output, config, differences, options);
        const isTaken = differences.some(({ what }) => what === 'taken');
        const pending = pendingOf(differences, options).length;
        if (pending === 0 && !isTaken) output.line('No difference.');
        process.exitCode = isTaken ? EXIT.usage : pending > 0 ? EXIT.runFailed : EXIT.success;
      }),
    );
}

/** What was read from the server stays out of it: scripts want the difference. */
function documentOf(differences: Difference[]) {
  return { schedules: differences.map(({ found: _, ...difference }) => difference) };
}

async function list({ config, temporal: { client }, output }: Context): Promise<void> {
  const { readSchedules } = await import('../../schedules/read.js');
  const { printSchedules } = await import('../schedules-text.js');
  const states = await readSchedules(client, config, { runs: 3 });
  output.document(states);
  printSchedules(output, states);
}

async function run({ config, temporal, output }: Context, id: string, by: string): Promise<void> {
  const { triggerSchedule } = await import('../../schedules/operate.js');
  const { runAddress } = await import('../../contract/ui-address.js');
  const { quote } = await import('../../contract/answer-commands.js');
  const { client, namespace, uiUrl } = temporal;
  const { workflowId, runId } = await triggerSchedule(client, config, id, by);
  const ui = uiUrl === undefined ? undefined : runAddress(uiUrl, namespace, workflowId, runId);
  output.document({ schedule: id, workflowId, runId, ui });
  output.line(`Started ${workflowId}`);
  if (ui !== undefined) output.hint(`  ${ui}`);
  output.hint(`  runbooks watch ${quote(workflowId)}`);
}

function addPauses(schedules: Command): void {
  for (const verb of ['pause', 'resume'] as const) {
    const [done, was] = verb === 'pause' ? ['Paused', 'paused'] : ['Resumed', 'not paused'];
    schedules
      .command(verb)
      .argument('<id>', 'as in the configuration')
      .requiredOption('--reason <text>', 'why, for everybody who asks')
      .option('--by <name>', 'your name', defaultName())
      .description(verb === 'pause' ? 'start no run of it until it is resumed' : 'let it start runs again')
      .action((id: string, order: { reason: string; by: string }, command: Command) =>
        withSchedules(command, async ({ config, temporal: { client }, output }) => {
          const { setPaused } = await import('../../schedules/operate.js');
          const changed = await setPaused(client, config, id, verb === 'pause', order);
          output.document({ schedule: id, paused: verb === 'pause', changed, ...order });
          output.line(changed ? `${done} ${id}.` : `${id} was ${was} already; nothing was changed.`);
        }),
      );
  }
}

function addBackfill(schedules: Command): void {
  schedules
    .command('backfill')
    .argument('<id>', 'as in the configuration')
    .requiredOption('--from <time>', 'ISO time, e.g. 2026-11-20T00:00Z')
    .requiredOption('--to <time>', 'ISO time, included')
    .option('--yes', 'also more than 50 runs or 31 days')
    .description('make up for starts that were missed, one run after the other')
    .action((id: string, options: { from: string; to: string; yes?: boolean }, command: Command) =>
      withSchedules(command, async ({ config, temporal: { client }, output }) => {
        const { backfillSchedule } = await import('../../schedules/operate.js');
        const { instantOf } = await import('../schedules-text.js');
        const { utc } = await import('../../contract/text.js');
        const [from, to] = [instantOf('--from', options.from), instantOf('--to', options.to)];
        const range = { from, to, confirmed: options.yes === true };
        const starts = (await backfillSchedule(client, config, id, range)).map((at) => at.toISOString());
        output.document({ schedule: id, starts });
        output.line(`${starts.length} run${starts.length === 1 ? '' : 's'} of ${id}, one after the other:`);
        for (const at of starts) output.line(`  ${utc(at)} UTC`);
      }),
    );
}
