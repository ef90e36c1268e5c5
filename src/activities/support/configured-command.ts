import { resolve } from 'node:path';
import { LockHeld, withFileLock } from '../../host/file-lock';
import { resolveSecrets, scrub } from '../../config/secrets';
import type { CommandConfig } from '../../config/schema';
import type { ActivityDeps } from './deps';
import { fail } from './failure';
import { currentActivity, withProgress } from './heartbeat';
import { KILL_AFTER_MS, minimalEnvironment, runCommand } from './subprocess';
import { commandLock } from './workspace';

/** What came of a command that may not be configured. */
export interface CommandResult {
  ran: boolean;
  detail: string;
  durationMs: number;
}

/** How long a command may take in all, the end of one that ran out of time included. */
export function longestRunMs({ timeoutSeconds }: CommandConfig): number {
  return timeoutSeconds * 1_000 + KILL_AFTER_MS;
}

/**
 * Runs a command of the configuration with `environment` added to its own. Returns its last line of output, scrubbed.
 * It ends with the worker and with `signal`, and waits for that of an earlier attempt to end, on this host.
 * Throws CommandFailed with the end of what it printed when its exit status is not 0, or when it takes too long.
 */
export async function runConfiguredCommand(
  deps: ActivityDeps,
  command: CommandConfig,
  environment: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<string> {
  return scrub(lastLines(await readConfiguredCommand(deps, command, environment, signal), 1)).slice(0, 500);
}

/** The same, for a command whose output is data: all of it, as it was printed. Not for histories before it was scrubbed. */
export async function readConfiguredCommand(
  { config }: ActivityDeps,
  command: CommandConfig,
  environment: Record<string, string> = {},
  signal?: AbortSignal,
  /** For its standard input: what must not stand among its arguments, nor in its environment. */
  input?: string,
): Promise<string> {
  const [program = '', ...args] = command.run;
  const secrets = Object.entries(command.environment).map(([name, value]): [string, string] => [
    name,
    resolveSecrets(value, config.directory),
  ]);
  const { exitCode, stdout, stderr } = await withProgress(
    { phase: command.run.join(' '), done: 0, total: 0, unit: 'statements' },
    () =>
      oneAttemptAtATime(command, () =>
        runCommand({
          program,
          args,
          directory: resolve(config.directory, command.directory),
          environment: { ...minimalEnvironment(), ...Object.fromEntries<string>(secrets), ...environment },
          timeoutMs: command.timeoutSeconds * 1_000,
          signal: AbortSignal.any([currentActivity().signal, ...(signal === undefined ? [] : [signal])]),
          ...(input === undefined ? {} : { input }),
        }),
      ),
  );
  if (exitCode === 0) return stdout;
  throw fail(
    'CommandFailed',
    `\`${command.run.join(' ')}\` ended with status ${exitCode}: ${lastLines(stderr, 5) || lastLines(stdout, 5) || 'it printed nothing'}. Run it by hand to see why.`,
    { details: { status: exitCode } },
  );
}

/** An attempt that Temporal has given up may not know it yet: what it runs is waited for. */
async function oneAttemptAtATime<T>(command: CommandConfig, run: () => Promise<T>): Promise<T> {
  const { runId, workflowId, activityId, signal } = currentActivity();
  if (runId === undefined) return run();
  const key = JSON.stringify([workflowId, runId, activityId, command.run]);
  const waitMs = longestRunMs(command);
  return withFileLock(commandLock(key), { waitMs, signal }, run).catch((error: unknown) => {
    if (!(error instanceof LockHeld)) throw error;
    throw fail(
      'CommandFailed',
      `\`${command.run.join(' ')}\` of an earlier attempt still runs, under process ${error.pid}, so it was not run again. This is tried again; end that process if it hangs.`,
      { retryable: true },
    );
  });
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
