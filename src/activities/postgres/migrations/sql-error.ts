import { scrub } from '../../../config/secrets';
import { fail, mapError, sqlStateOf, type FailureType } from '../../support/failure';
import type { ApplyRun } from './apply-run';
import { nameOfStatement } from './hazards';
import { caretAt, lineOf, type Statement } from './parse';
import { locksOf } from './table-locks';

/** What went wrong on the server, as the driver gives it. */
interface ServerError extends Error {
  position?: string;
  detail?: string;
  hint?: string;
  table?: string;
  constraint?: string;
  where?: string;
}

/** Classes and states that say something about the server and not about the statement. */
const SERVER_TROUBLE = /^(08|53|57P|25006|28)/;

/** Next steps for the mistakes that migrations make most. */
const NEXT_STEPS: Record<string, string> = {
  '42501': 'Grant the role of the migration this privilege, or make it a member of the owner.',
  '42P07': 'It is there already: was it made by hand? Drop it, or adopt it with another migration.',
  '42701': 'The column is there already: was it made by hand? Drop it, or leave this statement out.',
  '42P01': 'Check its name and schema, and whether an earlier migration is missing.',
  '23505': 'Find the duplicates and resolve them first.',
  '23502': 'Fill the empty values first.',
  '23503': 'Find the rows without a partner and resolve them first.',
  '23514': 'Find the rows that break the check and correct them first.',
  '57014': 'It ran longer than it may: do it in smaller steps, or raise `statementTimeoutSeconds`.',
};

/** Server trouble as it is mapped everywhere; anything else as MigrationFailed with line, caret, SQLSTATE and hint. */
export function explainFailure(run: ApplyRun, statement: Statement, error: unknown): Error {
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined || SERVER_TROUBLE.test(sqlState)) {
    return mapError(error, {
      action: `apply ${run.script.file}`,
      target: run.label,
      type: 'MigrationFailed',
    });
  }
  return failAt(run, statement, 'MigrationFailed', {
    why: describeServerError(error as ServerError, sqlState),
    next: NEXT_STEPS[sqlState] ?? 'Correct the file and start again.',
    offset: offsetOf(statement, error as ServerError),
    details: { sqlState, ...tableOf(error as ServerError, statement) },
  });
}

interface Told {
  why: string;
  next: string;
  /** In the file. Default: where the statement begins. */
  offset?: number;
  details?: Record<string, unknown>;
}

/** A failure that shows the place in the file. */
export function failAt(run: ApplyRun, statement: Statement, type: FailureType, told: Told): Error {
  const { file, text } = run.script;
  const offset = told.offset ?? statement.offset;
  const line = lineOf(text, offset);
  const where = `${file}:${line}: ${nameOfStatement(statement)} on ${run.label}`;
  return fail(type, `${where}: ${told.why}\n${caretAt(text, offset)}\n${whatStays(run)}. ${told.next}`, {
    details: { file, line, statement: statement.number, ...told.details },
  });
}

/** For the end of a failure. */
export function whatStays({ committed, script }: ApplyRun): string {
  if (committed === 0) return 'Nothing was changed';
  const rest = `${committed} of ${script.statements.length} statements are committed and stay`;
  return `${rest}; starting again goes on after them, the down script takes them back`;
}

function describeServerError(
  { message, detail, hint, table, constraint, where }: ServerError,
  sqlState: string,
): string {
  const parts = [`${message} (SQLSTATE ${sqlState}).`];
  if (table !== undefined)
    parts.push(`Table ${table}${constraint === undefined ? '' : `, constraint ${constraint}`}.`);
  // The detail of a violated constraint quotes a row: enough of it to find it, no more.
  if (detail !== undefined) parts.push(`Detail: ${scrub(detail).slice(0, 300)}`);
  if (hint !== undefined) parts.push(`Hint: ${hint}`);
  if (where !== undefined) parts.push(`Context: ${where.split('\n')[0]}`);
  return parts.join(' ');
}

function tableOf({ table }: ServerError, { node }: Statement): { table?: string } {
  const name = table ?? locksOf(node)[0]?.table;
  return name === undefined ? {} : { table: name };
}

/** The server counts characters of the statement, from 1. */
function offsetOf({ offset, text }: Statement, { position }: ServerError): number {
  if (position === undefined) return offset;
  return offset + [...text].slice(0, Number(position) - 1).join('').length;
}
