import type { LoadedConfig } from '../config/load';
import type { Difference } from '../schedules/diff';
import { timesOf } from '../schedules/input';
import type { ScheduleState } from '../schedules/read';
import { nextStarts, timeText } from '../schedules/times';
import { duration, utc } from '../contract/text';
import { CliError, EXIT } from './errors';
import { styledOutcome, type Output } from './output';
import { formatTable } from './table';

interface Prune {
  prune?: boolean;
}

/** What `apply` would change. */
export function pendingOf(differences: Difference[], { prune = false }: Prune): Difference[] {
  return differences.filter(
    ({ what }) => what === 'create' || what === 'change' || (what === 'remove' && prune),
  );
}

/** Prints every difference, field by field, and what stays as it is. */
export function printDifferences(
  output: Output,
  config: LoadedConfig,
  differences: Difference[],
  { prune = false }: Prune,
): void {
  for (const difference of differences) {
    const { id, what, changes, remarks } = difference;
    if (what === 'create') {
      output.line(output.style('green', `+ ${id}`));
      for (const { field, wanted } of changes) {
        if (wanted !== '') output.line(`    ${field}: ${shown(wanted)}`);
      }
      for (const at of nextOf(config, id)) output.line(`    next: ${at}`);
    }
    if (what === 'change') {
      output.line(output.style('yellow', `~ ${id}`));
      for (const { field, is, wanted } of changes)
        output.line(`    ${field}: ${shown(is)} -> ${shown(wanted)}`);
    }
    if (what === 'remove')
      output.line(
        prune
          ? output.style('red', `- ${id}`)
          : `  ${id}: no longer configured; stays unless --prune is given`,
      );
    if (what === 'taken') output.line(output.style('red', `! ${id}: the ID is taken`));
    if (what === 'same' && remarks.length > 0) output.line(`= ${id}`);
    for (const remark of remarks) output.line(`    ! ${remark}`);
  }
  const unmanaged = differences.filter(({ what }) => what === 'unmanaged').map(({ id }) => id);
  if (unmanaged.length > 0) output.hint(`Not from this configuration, left alone: ${unmanaged.join(', ')}`);
}

function shown(value: unknown): string {
  if (value === undefined) return '(none)';
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

function nextOf(config: LoadedConfig, id: string): string[] {
  const schedule = config.schedules[id];
  if (schedule === undefined || schedule.paused) return [];
  const [next] = nextStarts(timesOf(schedule), new Date(), 1);
  return next === undefined ? [] : [timeText(next.toISOString(), schedule.timeZone)];
}

/** Prints the schedules, the late ones marked. */
export function printSchedules(output: Output, states: ScheduleState[]): void {
  if (states.length === 0) return output.line('The configuration has no schedules.');
  const rows = states.map((state) => [
    state.id,
    state.runbook,
    state.nextAt === undefined ? '-' : timeText(state.nextAt, state.timeZone),
    state.recent.length === 0
      ? 'never'
      : `${styledOutcome(output, state.lastOutcome ?? '')} ${utc(state.lastStartedAt ?? '')} UTC`,
    stateText(output, state),
  ]);
  output.line(formatTable(['schedule', 'runbook', 'next', 'last run', 'state'], rows));
  for (const { id, recent } of states) {
    if (recent.length > 1) output.line(`\n${id}`);
    if (recent.length > 1)
      for (const { workflowId, startedAt, outcome } of recent)
        output.line(`  ${utc(startedAt)} UTC  ${styledOutcome(output, outcome)}  ${workflowId}`);
  }
}

function stateText(output: Output, state: ScheduleState): string {
  const { applied, paused, pausedWhy, overdueSeconds, skippedStarts, missedStarts } = state;
  if (!applied) return output.style('red', 'not applied: runbooks schedules apply');
  const parts = [paused ? output.style('yellow', pausedText(pausedWhy)) : 'active'];
  if (overdueSeconds > 0)
    parts.unshift(output.style(['red', 'bold'], `OVERDUE by ${duration(overdueSeconds * 1_000)}`));
  if (skippedStarts > 0) parts.push(`${skippedStarts} skipped while one ran`);
  if (missedStarts > 0) parts.push(`${missedStarts} missed while the server was away`);
  return parts.join('; ');
}

/** Our own notes and the server's begin with the word themselves. */
function pausedText(why = ''): string {
  return why.startsWith('paused') ? why : `paused: ${why || 'no reason given'}`;
}

/** Reads an ISO time. Throws CliError (usage): a time without a zone would mean another one on each machine. */
export function instantOf(flag: string, text: string): Date {
  const at = new Date(text);
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(at.getTime())) return at;
  throw new CliError(
    EXIT.usage,
    `${flag}: got "${text}", wanted a time with its zone, e.g. 2026-11-20T00:00Z. Nothing was started.`,
  );
}
