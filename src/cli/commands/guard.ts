import type { Command } from 'commander';
import type { StandingPause } from '../../activities/guard/guard-activities';
import type { Project } from '../../catalogue/catalogue';
import type { GuardState, Pause } from '../../contract/guard';
import type { Temporal } from '../connect';
import { CliError, EXIT } from '../errors';
import { outputOf, type Output } from '../output';
import { defaultName, reach } from '../settings';

const QUERY_TIMEOUT_MS = 10_000;
/** Lines of a kind. */
const SHOWN = 20;

interface Options {
  ladder?: string;
  mode?: string;
  reset?: string;
  free?: boolean;
  reason?: string;
  by: string;
}

export function addGuard(program: Command): void {
  program
    .command('guard')
    .argument(
      '[target]',
      'booking: its breaker; booking/production: its lease; default: the kill switch',
      'all',
    )
    .option('--ladder <runbook>', 'set the highest mode of a runbook here, with --mode and --reason')
    .option('--mode <mode>', 'observe, propose or auto')
    .option('--reset <runbook>', 'close what is open for a runbook, with --reason')
    .option('--free', 'what a run left behind is repaired: give its lease free, with --reason')
    .option('--reason <text>', 'why, for everybody who asks')
    .option('--by <name>', 'your name', defaultName())
    .description('who holds a target, who waits for it, what its breaker says, and whether it is paused')
    .action(async (target: string, options: Options, command: Command) => {
      const { withTemporal } = await import('../connect.js');
      const order = orderOf(options);
      const output = outputOf(command);
      const reached = await reach(command);
      await withTemporal(reached, async (temporal) => {
        await refuseUnknown(temporal, target, reached.project);
        if (order !== undefined) await refuseUnknownRunbook(order, reached.project);
        if (order !== undefined) output.hint(await change(temporal, target, order));
        const above = await pausesAbove(temporal, target);
        const state = await readGuard(temporal, target, above);
        output.document({ ...state, pausedAbove: above });
        await show(output, state, above);
      });
    });
}

async function refuseUnknown(
  temporal: Temporal,
  target: string,
  project: Project | undefined,
): Promise<void> {
  if (project === undefined) return;
  const { checkTarget } = await import('../targets.js');
  await checkTarget(temporal, target, project);
}

/** What it would say about a runbook that is not there, nobody would ever read. */
async function refuseUnknownRunbook({ argument }: Order, project: Project | undefined): Promise<void> {
  const { runbook } = argument;
  if (runbook === undefined || project === undefined) return;
  const names = project.catalogue.cards.map(({ name }) => name);
  if (names.includes(runbook)) return;
  const { suggestion } = await import('../../config/problem-text.js');
  throw new CliError(
    EXIT.usage,
    `There is no runbook "${runbook}"; nothing was done. Known: ${project.catalogue.names}${suggestion(runbook, names)}`,
  );
}

interface Order {
  name: 'ladder' | 'reset' | 'free';
  argument: Record<string, string>;
}

function orderOf({ ladder, mode, reset, free, reason, by }: Options): Order | undefined {
  if (ladder === undefined && reset === undefined && free !== true) return undefined;
  if (reason === undefined)
    throw new CliError(EXIT.usage, 'Say why: --reason "...". It is kept with the change.');
  if (free === true) return { name: 'free', argument: { by, reason } };
  if (reset !== undefined) return { name: 'reset', argument: { runbook: reset, by, reason } };
  if (mode === undefined)
    throw new CliError(EXIT.usage, `Up to which mode? --ladder ${ladder} --mode observe|propose|auto`);
  return { name: 'ladder', argument: { runbook: ladder ?? '', mode, by, reason } };
}

async function change(
  { client, within, taskQueue }: Temporal,
  target: string,
  { name, argument }: Order,
): Promise<string> {
  const { guardId } = await import('../../contract/guard.js');
  const { reviveGuard } = await import('../../activities/guard/reach-guard.js');
  // One that was terminated still keeps what it kept: whoever wants to free it must not have to wait for the next run.
  await reviveGuard(client, taskQueue, target);
  const handle = client.workflow.getHandle(guardId(target));
  try {
    return await within(QUERY_TIMEOUT_MS, () =>
      handle.executeUpdate<string, [unknown]>(name, { args: [argument] }),
    );
  } catch (error) {
    const { cause } = error as { cause?: Error };
    if ((error as Error).name === 'WorkflowUpdateFailedError')
      throw new CliError(EXIT.usage, cause?.message ?? (error as Error).message);
    throw await explain(error, { client, within } as Temporal, target);
  }
}

/** Of what a target lies in, or of everything: they hold it back like one of its own. */
async function pausesAbove({ client }: Temporal, target: string): Promise<StandingPause[]> {
  const { coveringTargets } = await import('../../contract/guard.js');
  const { pausesOf } = await import('../pauses.js');
  return pausesOf(
    client,
    coveringTargets(target).filter((one) => one !== target),
  );
}

async function readGuard(temporal: Temporal, target: string, above: StandingPause[]): Promise<GuardState> {
  const { client, within } = temporal;
  const { guardId } = await import('../../contract/guard.js');
  const handle = client.workflow.getHandle(guardId(target));
  try {
    return await within(QUERY_TIMEOUT_MS, () => handle.query<GuardState>('state'));
  } catch (error) {
    throw await explain(error, temporal, target, above);
  }
}

async function explain(
  error: unknown,
  { client }: Temporal,
  target: string,
  above: StandingPause[] = [],
): Promise<Error> {
  const { guardId } = await import('../../contract/guard.js');
  if ((error as Error).name === 'WorkflowNotFoundError') {
    const { utc } = await import('../../contract/text.js');
    const paused = above.map((one) => ` It is paused ${pauseText(one, utc)}.`).join('');
    return new CliError(
      EXIT.notFound,
      `There is no guard of ${target} yet: nobody ever paused, leased or asked it by that name.${paused}`,
    );
  }
  const { status } = await client.workflow.getHandle(guardId(target)).describe();
  if (status.name !== 'RUNNING') return error as Error;
  return new CliError(
    EXIT.unreachable,
    `The guard of ${target} runs, but no worker answers for it. Start one with \`runbooks worker\`.`,
  );
}

/** `by sam at 2026-11-21 03:50:12 UTC, all of booking: release`. */
function pauseText(
  { by, at, reason, target }: Pause & { target?: string },
  utc: (iso: string) => string,
): string {
  const of = target === undefined ? '' : `, ${target === 'all' ? 'everything' : `all of ${target}`}`;
  return `by ${by} at ${utc(at)} UTC${of}: ${reason}`;
}

async function show(
  output: Output,
  { target, paused, holder, waiting, lastToken, ...rest }: GuardState,
  above: StandingPause[],
): Promise<void> {
  const { utc } = await import('../../contract/text.js');
  const { openAt } = await import('../../workflows/guard/breaker.js');
  const line = (label: string, text: string) => output.line(`${label.padEnd(9)}${text}`);
  output.line(output.style('bold', `guard/${target}`));
  const pauses = [...(paused === null ? [] : [paused]), ...above];
  if (pauses.length === 0) line('paused', 'no');
  pauses.forEach((one, index) => line(index === 0 ? 'paused' : '', output.style('red', pauseText(one, utc))));
  line(
    'holder',
    holder === null ? 'nobody' : `${holder.workflowId} since ${utc(holder.since)} UTC, token ${holder.token}`,
  );
  if (holder?.kept !== undefined)
    line(
      '',
      output.style('red', `needs a person: ${holder.kept}; when it is repaired: --free --reason "..."`),
    );
  line('waiting', waiting.length === 0 && rest.queue.length === 0 ? 'nobody' : '');
  const all = [...waiting, ...rest.queue];
  for (const one of all.slice(0, SHOWN)) line('', `${one.workflowId} since ${utc(one.since)} UTC`);
  if (all.length > SHOWN) line('', `and ${all.length - SHOWN} more`);
  if (lastToken > 0) line('token', String(lastToken));
  for (const { workflowId, startedAt, pool } of rest.breaker.running.slice(-SHOWN))
    line('runs', `${workflowId} since ${utc(startedAt)} UTC${pool === null ? ', without a place' : ''}`);
  if (rest.breaker.running.length > SHOWN) line('', `and ${rest.breaker.running.length - SHOWN} more`);
  for (const { runbook, fingerprint, mode, reason, until } of openAt(rest.breaker, Date.now()))
    line(
      'open',
      output.style('red', `${runbook}, alert ${fingerprint}: ${reason}; ${mode} until ${utc(until)} UTC`),
    );
  for (const [runbook, { mode, by, since, reason }] of Object.entries(rest.breaker.ceilings))
    line('ladder', `${runbook} up to ${mode}, by ${by} at ${utc(since)} UTC: ${reason}`);
  for (const { at, by, what, reason } of rest.changes.slice(-10))
    line('change', `${utc(at)} UTC ${what} by ${by}: ${reason}`);
}
