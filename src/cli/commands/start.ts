import { Option, type Command } from 'commander';
import type { LoadedConfig } from '../../config/load';
import type { Card } from '../../catalogue/card';
import type { Temporal } from '../connect';
import type { FlagValue } from '../input';
import { CliError, EXIT } from '../errors';
import type { Field } from '../../catalogue/input-fields';
import { outputOf, type Output } from '../output';
import { catalogueOf, defaultName, optionalConfig } from '../settings';

interface StartOptions {
  input?: string;
  id?: string;
  watch?: boolean;
}

/**
 * `start <runbook>`. The flags of a runbook come from its input schema, so the cards are loaded only when `start` is
 * what was asked for.
 */
export async function addStart(program: Command, asked: boolean): Promise<void> {
  const start = program
    .command('start')
    .argument('[runbook]', 'name of a runbook, see `runbooks list`')
    .description('start a runbook; its flags: `runbooks start <runbook> --help`')
    .allowExcessArguments()
    .allowUnknownOption()
    .action(async (name: string | undefined) => {
      if (name === undefined)
        throw new CliError(
          EXIT.usage,
          'Which runbook? `runbooks list` shows them, then `runbooks start <runbook>`.',
        );
      // Only an unknown name gets here: known ones have a command of their own.
      const { findCard } = await import('../cards.js');
      throw new CliError(
        EXIT.usage,
        `Runbook names are case-sensitive: write ${findCard(await catalogueOf(program), name).name}.`,
      );
    });
  if (!asked) return;
  const { cards } = await catalogueOf(program);
  const { fieldsOf } = await import('../../catalogue/input-fields.js');
  for (const card of cards) await addRunbook(start, card, fieldsOf(card));
}

async function addRunbook(start: Command, card: Card, fields: Field[]): Promise<void> {
  const { flagOf } = await import('../../catalogue/input-fields.js');
  const command = start
    .command(card.name)
    // Inherited from `start`, which has to answer for unknown names.
    .allowExcessArguments(false)
    .description(`${card.title}. May change: ${card.changes}`)
    .option('--input <json>', 'the whole input as JSON, @file, or - for standard input; flags go over it')
    .option('--id <workflow id>', 'workflow ID; the same ID never runs twice')
    .option('--watch', 'follow the run; the exit code is its outcome');
  for (const field of fields) {
    const placeholder = placeholderOf(field);
    const note = field.required
      ? ' (required)'
      : field.defaultValue === undefined
        ? ''
        : ` (default: ${JSON.stringify(field.defaultValue)})`;
    // Not commander's choices: wrong values are reported together with every other problem of the input.
    command.addOption(new Option(`${flagOf(field.name)} ${placeholder}`, `${field.description}${note}`));
  }
  command.action(async (options: StartOptions & Record<string, unknown>, self: Command) => {
    const config = await optionalConfig(self);
    const input = await readAll(card, fields, options, config);
    const { withTemporal } = await import('../connect.js');
    const { startTracing } = await import('../../telemetry/start-tracing.js');
    const output = outputOf(self);
    const tracing = await startTracing(config ?? { directory: '.', services: {} }, (text) =>
      output.warn(text),
    );
    process.exitCode = await withTemporal(
      config,
      (temporal) => startRun(temporal, output, card, input, options),
      tracing,
    );
  });
}

function placeholderOf({ kind, choices, type }: Field): string {
  if (kind === 'boolean') return '[yes|no]';
  return kind === 'list' ? '<text...>' : `<${choices?.join('|') ?? type}>`;
}

async function readAll(
  card: Card,
  fields: Field[],
  options: StartOptions & Record<string, unknown>,
  config: LoadedConfig | undefined,
) {
  const { checkInput, parseFlag, readInput } = await import('../input.js');
  const flags = fields
    .filter(({ name }) => options[name] !== undefined)
    .map((field) => [field.name, parseFlag(field, options[field.name] as FlagValue)]);
  const input = {
    startedBy: defaultName(),
    ...readInput(options.input),
    ...Object.fromEntries(flags),
  } as Record<string, unknown>;
  return checkInput(card, input, config);
}

async function startRun(
  temporal: Temporal,
  output: Output,
  card: Card,
  input: Record<string, unknown>,
  options: StartOptions,
) {
  const { runAddress } = await import('../../contract/ui-address.js');
  const { newWorkflowId } = await import('../workflow-id.js');
  const { priorityOf } = await import('../../contract/priority.js');
  const { quote } = await import('../../contract/answer-commands.js');
  const { client, taskQueue, namespace, uiUrl } = temporal;
  const workflowId = options.id ?? newWorkflowId(card.name, String(input['service']));
  const handle = await client.workflow
    .start(card.name, {
      workflowId,
      taskQueue,
      args: [input],
      // An ID given by a script names one piece of work: starting it again must not do it again.
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      staticSummary: `${card.title}: ${String(input['service'])}`,
      priority: priorityOf({ service: String(input['service']), priority: card.priority }),
    })
    .catch((error: Error) => {
      if (error.name !== 'WorkflowExecutionAlreadyStartedError') throw error;
      throw new CliError(
        EXIT.usage,
        `${workflowId} was started before, so nothing was started now. Look at it with \`runbooks status ${quote(workflowId)}\`, or give another --id.`,
      );
    });
  const runId = handle.firstExecutionRunId;
  const ui = uiUrl === undefined ? undefined : runAddress(uiUrl, namespace, workflowId, runId);
  if (!options.watch) output.document({ workflowId, runId, taskQueue, ui });
  output.line(`Started ${workflowId}`);
  if (ui !== undefined) output.hint(`  ${ui}`);
  if (!options.watch) output.hint(`  runbooks watch ${quote(workflowId)}`);
  await warnWithoutWorker(temporal, output);
  if (!options.watch) return EXIT.success;
  const { watchRun } = await import('../watch.js');
  return watchRun(temporal, output, workflowId, runId);
}

async function warnWithoutWorker({ client, taskQueue }: Temporal, output: Output): Promise<void> {
  const { obstacleOf, readQueue } = await import('../../versions/queue.js');
  const obstacle = obstacleOf(await readQueue(client, taskQueue));
  if (obstacle !== undefined) output.hint(`  ! ${obstacle}`);
}
