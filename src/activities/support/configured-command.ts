import { resolve } from 'node:path';
import { resolveSecrets, scrub } from '../../config/secrets';
import type { CommandConfig } from '../../config/schema';
import type { ActivityDeps } from './deps';
import { fail } from './failure';
import { withProgress } from './heartbeat';
import { minimalEnvironment, runCommand } from './subprocess';

/** What came of a command that may not be configured. */
export interface CommandResult {
  ran: boolean;
  detail: string;
  durationMs: number;
}

/**
 * Runs a command of the configuration with `environment` added to its own. Returns its last line of output, scrubbed.
 * Throws CommandFailed with the end of what it printed when its exit status is not 0, or when it takes too long.
 */
export async function runConfiguredCommand(
  deps: ActivityDeps,
  command: CommandConfig,
  environment: Record<string, string> = {},
): Promise<string> {
  return scrub(lastLines(await readConfiguredCommand(deps, command, environment), 1)).slice(0, 500);
}

/** The same, for a command whose output is data: all of it, as it was printed. Not for histories before it was scrubbed. */
export async function readConfiguredCommand(
  { config }: ActivityDeps,
  command: CommandConfig,
  environment: Record<string, string> = {},
): Promise<string> {
  const [program = '', ...args] = command.run;
  const secrets = Object.entries(command.environment).map(([name, value]): [string, string] => [
    name,
    resolveSecrets(value, config.directory),
  ]);
  const { exitCode, stdout, stderr } = await withProgress(
    { phase: command.run.join(' '), done: 0, total: 0, unit: 'statements' },
    () =>
      runCommand({
        program,
        args,
        directory: resolve(config.directory, command.directory),
        environment: { ...minimalEnvironment(), ...Object.fromEntries<string>(secrets), ...environment },
        timeoutMs: command.timeoutSeconds * 1_000,
      }),
  );
  if (exitCode === 0) return stdout;
  throw fail(
    'CommandFailed',
    `\`${command.run.join(' ')}\` ended with status ${exitCode}: ${lastLines(stderr, 5) || lastLines(stdout, 5) || 'it printed nothing'}. Run it by hand to see why.`,
  );
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
