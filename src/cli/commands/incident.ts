import type { Command } from 'commander';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

/** One message to an incident: its arguments and options become the words of an Update. */
interface Verb {
  name: string;
  /** Name of the Update, where it differs. */
  update?: string;
  what: string;
  /** Arguments after the workflow ID; the last may have several words. */
  args?: { name: string; what: string; many?: boolean }[];
  options?: { flags: string; field: string; what: string; required?: boolean }[];
  /** How long the run may look before it answers. */
  timeoutMs?: number;
}

const reason = { flags: '--reason <text>', field: 'reason', what: 'why', required: true };
const note = (what: string, required = false) => ({ flags: '--note <text>', field: 'note', what, required });

const VERBS: Verb[] = [
  { name: 'ack', update: 'acknowledge', what: 'say that you look after it: nobody else is called' },
  { name: 'command', what: 'take command' },
  {
    name: 'severity',
    what: 'change the severity; every clock counts by the new one',
    args: [{ name: 'severity', what: 'P0 ... P3, or a word of the service' }],
    options: [reason],
  },
  {
    name: 'update',
    what: 'tell everybody what is being done',
    args: [{ name: 'text', what: 'what is being done', many: true }],
  },
  {
    name: 'resolve',
    what: 'say that it is over: refused while what can be measured does not hold',
    options: [
      note('what ended it', true),
      { flags: '--root-cause <text>', field: 'rootCause', what: 'why it happened' },
      {
        flags: '--override <reason>',
        field: 'override',
        what: 'of the commander: why to close it without proof',
      },
    ],
    timeoutMs: 90_000,
  },
  { name: 'reopen', what: 'say that it is not over after all', options: [reason] },
  {
    name: 'fact',
    what: 'write something down for the post-mortem',
    args: [
      { name: 'field', what: 'impact, scope, rootCause, contributing, worked, failed or mitigatedAt' },
      { name: 'text', what: 'what is known', many: true },
    ],
  },
  { name: 'ask-postmortem', what: 'ask for a post-mortem whatever the severity' },
  {
    name: 'action',
    what: 'add an action item, or change one',
    args: [{ name: 'text', what: 'what will be done', many: true }],
    options: [
      { flags: '--owner <name>', field: 'owner', what: 'who does it', required: true },
      { flags: '--due <day>', field: 'due', what: 'YYYY-MM-DD', required: true },
      { flags: '--action <id>', field: 'action', what: 'the item to change, e.g. A1' },
    ],
  },
  {
    name: 'close-action',
    what: 'say that an action item is done, or why it is not needed',
    args: [{ name: 'action', what: 'e.g. A1' }],
    options: [note('what was done')],
  },
  {
    name: 'meeting',
    what: 'say when the post-mortem meeting is, or was',
    options: [
      { flags: '--at <time>', field: 'at', what: 'with its zone, e.g. 2026-01-31T14:00:00Z', required: true },
    ],
  },
];

/** `incident ...`: what people say to a run of respondToIncident. */
export function addIncident(program: Command): void {
  const incident = program
    .command('incident')
    .description(`what people say to an incident: ${VERBS.map(({ name }) => name).join(', ')}`)
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addHelpText('after', '\nTo open one: runbooks start respondToIncident --service <name> --title <text>');
  for (const verb of VERBS) addVerb(incident, verb);
}

function addVerb(incident: Command, verb: Verb): void {
  const command = incident.command(verb.name).description(verb.what).argument('<id>', 'workflow ID');
  for (const { name, what, many } of verb.args ?? [])
    command.argument(many ? `<${name}...>` : `<${name}>`, what);
  for (const { flags, what, required } of verb.options ?? [])
    if (required) command.requiredOption(flags, what);
    else command.option(flags, what);
  command.option('--by <name>', 'your name', defaultName());
  command.action(async (...given: unknown[]) => {
    const [id, ...rest] = given as [string, ...unknown[]];
    await send(verb, id, wordsOf(verb, rest, command.opts()), command);
  });
}

/** Commander's arguments and options as the words of the Update. */
function wordsOf(
  { args = [], options = [] }: Verb,
  given: unknown[],
  flags: Record<string, string>,
): Record<string, string | undefined> {
  const fromArgs = args.map(({ name }, index) => {
    const value = given[index];
    return [name, Array.isArray(value) ? value.join(' ') : String(value)];
  });
  // Commander names an option after its flag, e.g. --root-cause becomes rootCause: that of the field.
  const fromOptions = options.map(({ field }) => [field, flags[field]]);
  return { ...Object.fromEntries([...fromArgs, ...fromOptions]), by: flags['by'] } as Record<string, string>;
}

async function send(
  { name, update = name, timeoutMs }: Verb,
  id: string,
  given: Record<string, string | undefined>,
  command: Command,
): Promise<void> {
  const { withTemporal } = await import('../connect.js');
  const { sendUpdate, words } = await import('../answer.js');
  const output = outputOf(command);
  await withTemporal(await reach(command), async (temporal) => {
    const answer = await sendUpdate(temporal, id, update, words(given), timeoutMs);
    output.document({ workflowId: id, ...words(given), answer });
    output.line(answer);
  });
}
