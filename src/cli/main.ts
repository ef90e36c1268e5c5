#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { debugWanted } from '../config/debug';
import { VERSION } from '../config/version';
import { addAlerts } from './commands/alerts';
import { addApprove } from './commands/approve';
import { addBuild } from './commands/build';
import { addCancel } from './commands/cancel';
import { addCheck } from './commands/check';
import { addCodecServer } from './commands/codec-server';
import { addDecide } from './commands/decide';
import { addDescribe } from './commands/describe';
import { addDone } from './commands/done';
import { addGuard } from './commands/guard';
import { addIncident } from './commands/incident';
import { addInit } from './commands/init';
import { addList } from './commands/list';
import { addKeys } from './commands/keys';
import { addNote } from './commands/note';
import { addNotify } from './commands/notify';
import { addPack } from './commands/pack';
import { addPause } from './commands/pause';
import { addReplay } from './commands/replay';
import { addReport } from './commands/report';
import { addRoute } from './commands/route';
import { addSchedules } from './commands/schedules';
import { addSchema } from './commands/schema';
import { addStart } from './commands/start';
import { addStatus } from './commands/status';
import { addUp } from './commands/up';
import { addVersions } from './commands/versions';
import { addWatch } from './commands/watch';
import { addWorker } from './commands/worker';
import { endSoon } from '../host/end-soon';
import { EXIT } from './errors';
import { explainError } from './explain-error';
import { writeError } from './output';
import { addReachOptions } from './settings';

/** What answers runs or stops them, with no need of a configuration. */
const REACHING = [
  ...['status', 'watch', 'report', 'cancel', 'approve', 'reject', 'decide', 'done', 'note', 'incident'],
  ...['pause', 'resume', 'guard'],
];

const EXIT_CODES = `
Exit codes:
  0  success, also nothing to do and observed
  1  the run failed, was rolled back, rejected or cancelled, or left something half done
  2  bad usage, input or configuration, or an answer that the run refused
  3  a run needs a person now
  4  Temporal cannot be reached, or no worker answers
  5  no such run, runbook or guard, or no route for an alert`;

/** The `runbooks` program. What a command needs is loaded when it runs, so that --help is quick. */
export async function createProgram(argv: string[]): Promise<Command> {
  const program = new Command('runbooks')
    .description('Operations runbooks as durable Temporal workflows.')
    .option('--config <file>', 'configuration; default: RUNBOOKS_CONFIG, else runbooks.yaml here')
    .option('--json', 'one JSON document on standard output')
    .option('--quiet', 'only results, no hints')
    .option('--no-color', 'no colours')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError('(`runbooks --help`, or `runbooks <command> --help`)')
    .addHelpText('after', EXIT_CODES);
  const starts = program.parseOptions(argv).operands[0] === 'start';
  // There it may be a flag of the runbook, e.g. of deployApplication.
  if (!starts) program.version(VERSION);
  program.commandsGroup('To begin:');
  for (const add of [addUp, addInit, addCheck, addNotify, addWorker, addVersions, addCodecServer])
    add(program);
  program.commandsGroup('Runbooks:');
  addList(program);
  addDescribe(program);
  // Its flags come from the configuration, which --config may name before it.
  await addStart(program, starts);
  program.commandsGroup('Runbooks of your own:');
  for (const add of [addPack, addBuild, addReplay, addSchema]) add(program);
  program.commandsGroup('Runs:');
  for (const add of [addStatus, addWatch, addReport, addCancel]) add(program);
  program.commandsGroup('Answers:');
  for (const add of [addApprove, addDecide, addDone, addNote, addIncident, addKeys]) add(program);
  program.commandsGroup('What starts by itself:');
  for (const add of [addAlerts, addRoute, addSchedules]) add(program);
  program.commandsGroup('Safety:');
  for (const add of [addPause, addGuard]) add(program);
  for (const command of program.commands) if (REACHING.includes(command.name())) addReachOptions(command);
  throwInsteadOfExit(program);
  return program;
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(throwInsteadOfExit);
}

/** Runs a command and sets the exit code of the process. */
export async function main(argv: string[]): Promise<void> {
  try {
    await (await createProgram(argv)).parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.success : EXIT.usage;
      return;
    }
    const { exitCode, message } = explainError(error);
    writeError(message);
    if (debugWanted() && error instanceof Error) writeError(error.stack ?? '');
    process.exitCode = exitCode;
  }
}

if (require.main === module) {
  // `runbooks report | head` must not end in a stack trace.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  void main(process.argv.slice(2)).finally(endSoon);
}
