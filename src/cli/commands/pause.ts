import type { Command } from 'commander';
import type { Temporal } from '../connect';
import { CliError, EXIT } from '../errors';
import { explainError } from '../explain-error';
import { outputOf } from '../output';
import { defaultName, reach } from '../settings';

interface Options {
  target: string;
  reason: string;
  by: string;
}

/** `pause` and `resume`: the kill switch, for everything or for one target. */
export function addPause(program: Command): void {
  for (const verb of ['pause', 'resume'] as const) {
    program
      .command(verb)
      .option(
        '--target <target>',
        'a service with all its environments, or one: booking/production; all: every target',
        'all',
      )
      .requiredOption('--reason <text>', 'why, for everybody who asks')
      .option('--by <name>', 'your name', defaultName())
      .description(
        verb === 'pause'
          ? 'the kill switch: no run goes through its gate any more'
          : 'let runs go on after a pause',
      )
      .action(async ({ target, reason, by }: Options, command: Command) => {
        const { withTemporal } = await import('../connect.js');
        const { coveringTargets, guardId } = await import('../../contract/guard.js');
        const { readGuardMemory, signalGuard } = await import('../../activities/guard/reach-guard.js');
        const { checkTarget, scopeText } = await import('../targets.js');
        const { quote } = await import('../../contract/answer-commands.js');
        const { pausesOf, pauseText, resumeCommand } = await import('../pauses.js');
        const output = outputOf(command);
        const reached = await reach(command);
        await withTemporal(reached, async (temporal) => {
          const { client, taskQueue } = temporal;
          const what = scopeText(target, reached.project);
          const unsure = await checkTarget(temporal, target, reached.project);
          const before = verb === 'resume' ? await readGuardMemory(client, target) : undefined;
          if (verb === 'resume' && (before?.memory?.paused ?? null) === null)
            throw new CliError(EXIT.notFound, await nothingToResume(client, target, what));
          await signalGuard(client, taskQueue, target, verb, { by, reason });
          const sent = `The ${verb} of ${what} was sent`;
          await untilItHolds(
            async () => (await isPaused(client, target, sent)) === (verb === 'pause'),
            `The ${verb} of ${what} is stored, but nothing answers for guard/${target} yet, so it does not hold. Start a worker with \`runbooks worker\`.`,
          );
          output.document({
            target,
            guard: guardId(target),
            [verb === 'pause' ? 'paused' : 'resumed']: true,
            by,
            reason,
          });
          output.line(
            verb === 'pause'
              ? `Paused: no run goes through a gate, or begins a change, on ${what} until \`${resumeCommand(target)}\`.`
              : `Resumed: runs on ${what} go on, unless another pause stops them.`,
          );
          if (unsure !== undefined) output.warn(unsure);
          if (verb === 'resume')
            for (const above of await pausesOf(client, coveringTargets(target)))
              output.warn(pauseText(above));
          output.hint(`Look with: runbooks guard ${quote(target)}`);
        });
      });
  }
}

/** Throws CliError where it cannot be read, which is after it was `sent`. */
async function isPaused(client: Temporal['client'], target: string, sent: string): Promise<boolean> {
  const { readGuardMemory } = await import('../../activities/guard/reach-guard.js');
  try {
    return ((await readGuardMemory(client, target))?.memory?.paused ?? null) !== null;
  } catch (error) {
    const why = `${sent}; whether it holds could not be read. ${explainError(error).message}`;
    throw new CliError(EXIT.unreachable, why);
  }
}

/** It may be paused with what it lies in, or only a part of it. */
async function nothingToResume(client: Temporal['client'], target: string, what: string): Promise<string> {
  const { concerns, pauseText, standingPauses } = await import('../pauses.js');
  const all = await standingPauses(client).catch(() => []);
  const others = all.filter((pause) => concerns(target, pause));
  const nothing = `Nobody has paused ${what}: nothing to resume.`;
  return [nothing, ...others.map(pauseText)].join('\n');
}

const HOLDS_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 50;

/** Runs read it from the guard's memo: it holds when it stands there, and not before. */
async function untilItHolds(holds: () => Promise<boolean>, otherwise: string): Promise<void> {
  for (const until = Date.now() + HOLDS_WITHIN_MS; Date.now() < until;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new CliError(EXIT.unreachable, otherwise);
}
