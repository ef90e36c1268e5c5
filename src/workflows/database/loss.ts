import { ApplicationFailure } from '@temporalio/workflow';
import type { LostWrites } from '../../contract/backup';
import type { LiveState } from '../../contract/database';
import { type Place, targetOf } from '../../contract/place';
import { type Run, utc } from '../kit';

/** What a restore would lose. `lost` is null where nobody can tell: there is nothing to read it from. */
export interface Loss {
  lost: LostWrites | null;
  /**
   * What people are told, and hold us to: at least what was read, and not a figure that is old at once where somebody
   * writes. Null as `lost`.
   */
  atMost: number | null;
}

/** Sentence about what a restore would lose; an upper bound, and said to be one. */
export function describeLoss({ rowsAtMost, sequences, since }: LostWrites): string {
  // No figures that move by themselves: an approval would be void with each of them.
  const numbers =
    sequences === 0
      ? ''
      : sequences === null
        ? '; some sequences cannot be read, and may give out again what they gave out since'
        : '; sequences have moved on, and those of the copy are carried past them';
  return rowsAtMost === 0
    ? `loses no row: none was written since ${utc(since)} UTC${numbers}`
    : `loses at most ${rowsAtMost.toLocaleString('en-US')} row changes made since ${utc(since)} UTC${numbers}`;
}

/** The same for a loss that may be unknown. `since` is the backup's snapshot. */
export function lossText({ lost, atMost }: Loss, since?: string): string {
  if (lost === null || atMost === null)
    return `loses everything that was written since ${since === undefined ? 'the backup' : `${utc(since)} UTC`}; how much that is cannot be read any more, and sequences may give out again what they gave out since`;
  return describeLoss({ ...lost, rowsAtMost: atMost });
}

/** Reads what a restore of that backup would lose now; what was said before stands for as long as it still holds. */
export async function readLoss(
  run: Run,
  place: Place,
  live: LiveState,
  backupId: string,
  before?: Loss,
): Promise<Loss> {
  if (live.condition !== 'there' || !live.registered) return { lost: null, atMost: null };
  const lost = await run.step(
    'What would be lost?',
    (act) => act.estimateLostWrites({ ...place, backupId }),
    {
      describe: (read) =>
        read === null ? 'nobody can tell: it is another server, or was put back in time' : describeLoss(read),
    },
  );
  if (lost === null) return { lost: null, atMost: null };
  const said = before?.atMost ?? null;
  if (said === null || lost.rowsAtMost > said) return { lost, atMost: roundUp(lost.rowsAtMost) };
  return { lost: { ...lost, ...namedTables(before?.lost ?? lost) }, atMost: said };
}

/** As they were said: which of them has the most changes may be another one with each reading. */
function namedTables({ tables, moreTables }: LostWrites): Pick<LostWrites, 'tables' | 'moreTables'> {
  return tables === undefined ? {} : { tables, moreTables };
}

/** Which tables the loss is about, for a plan; nothing where none changed, or nobody can tell. */
export function concernedTables({ lost }: Loss): string[] {
  const { tables = [], moreTables = 0 } = lost ?? {};
  if (tables.length === 0) return [];
  return [
    `when first read, these tables had changed since: ${tables.join(', ')}${moreTables > 0 ? ` and ${moreTables} more` : ''}`,
  ];
}

const MAX_ASKED = 5;

/**
 * Lets people decide whether that may be lost. An answer is about what was said: where more is lost by the time that it is
 * there, it is void, and they are asked again. Undefined for a no; what is lost as of the answer otherwise.
 */
export async function decideOnLoss(
  run: Run,
  told: Loss,
  { question, read }: { question: (loss: Loss) => string; read: (before: Loss) => Promise<Loss> },
): Promise<Loss | undefined> {
  let loss = told;
  for (let asked = 0; asked < MAX_ASKED; asked += 1) {
    if ((await run.ask(question(loss), ['restore', { harmless: 'stop' }])) === 'stop') return undefined;
    const now = await read(loss);
    if (!grewPast(loss, now)) return now;
    run.note('That answer is void', `by now it ${lossText(now)}`);
    loss = now;
  }
  throw ApplicationFailure.nonRetryable(
    `what a restore would lose grew ${MAX_ASKED} times while people were asked about it. Stop the writes first, then start again.`,
    'PlanKeepsChanging',
  );
}

const LEAST_BOUND = 100;

/** To 1, 2 or 5 with noughts, so that a plan does not change with every row that is written; none stays none. */
export function roundUp(rows: number): number {
  if (rows <= 0) return 0;
  if (rows <= LEAST_BOUND) return LEAST_BOUND;
  const unit = 10 ** Math.floor(Math.log10(rows));
  return [1, 2, 5, 10].map((factor) => factor * unit).find((bound) => bound >= rows) ?? 10 * unit;
}

/** Whether it is more than people were told. */
export function grewPast(told: Loss, now: Loss): boolean {
  return told.atMost !== null && (now.atMost === null || now.atMost > told.atMost);
}

/** Whether an unattended run has to ask: where something is lost, or nobody knows. */
export function losesSomething({ atMost }: Loss): boolean {
  return atMost !== 0;
}

/** One line about what there is of the live database. */
export function describeLive(live: LiveState): string {
  const { condition, database, tables, rows, sessions } = live;
  const where = live.registered
    ? ''
    : `, on a server that is not the registered one (${live.systemIdentifier})`;
  if (condition === 'missing') return `there is no database ${database}${where}`;
  if (condition === 'closed') return `${database} lets nobody in (ALLOW_CONNECTIONS false)${where}`;
  if (condition === 'unreadable') return `${database} cannot be read: ${live.why ?? ''}`;
  const unreadable = live.unreadableTables === 0 ? '' : `, ${live.unreadableTables} of them unreadable`;
  return `${database}: ${tables} tables${unreadable}, ${rows.toLocaleString('en-US')} rows, ${sessions} sessions${where}`;
}

/** What people have to know about the live database before they replace it. */
export function liveWarnings(live: LiveState, place: Place): string[] {
  const { condition, unreadable, unreadableTables, unseenTables, preparedTransactions } = live;
  const warnings: string[] = [];
  if (!live.registered)
    warnings.push(
      `the server is not the registered one of ${targetOf(place)}: its system identifier is ${live.systemIdentifier}. It is empty, and taken for the replacement; enter it in the configuration afterwards`,
    );
  if (condition !== 'there') warnings.push(`${describeLive(live)}: no safety backup can be taken`);
  if (condition === 'closed' || condition === 'unreadable')
    warnings.push('the former database is kept as it is under another name');
  if (unreadableTables > 0) {
    const named = unreadable.map(({ table, why }) => `${table} (${why})`).join('; ');
    warnings.push(
      `the safety backup will lack what cannot be read: ${named}${unreadableTables > unreadable.length ? ` and ${unreadableTables - unreadable.length} more` : ''}`,
    );
  }
  if (unseenTables > 0)
    warnings.push(
      'some tables were not looked at for damage: it would have taken too long, or they are locked',
    );
  if (preparedTransactions.length > 0)
    warnings.push(
      `prepared transactions keep the database from being replaced; end them first: ${preparedTransactions.join(', ')}`,
    );
  return warnings;
}
