import type { Client } from 'pg';
import { valueParameter, type MappedColumn, type MappedTable } from './mapping';
import { canPassTriggers } from './undo';

/** Bits of pg_trigger.tgtype. */
const TRIGGER = { before: 2, update: 16, instead: 64 };

/** What every repair of rows relies on. */
export interface RepairSetting {
  role: string | undefined;
  audit: MappedTable | undefined;
}

/** Warnings for the plan: what nobody has configured is not done, and not silently. */
export function unconfiguredRepair({ role, audit }: RepairSetting): string[] {
  return [
    ...(role === undefined
      ? ['rows are changed with every right of the runbooks: no role is configured for repairs']
      : []),
    ...(audit === undefined ? ['nothing is written into an audit trail: none is configured'] : []),
  ];
}

/** A word that a column should know. */
export interface Word {
  table: MappedTable;
  status: MappedColumn;
  value: string;
  /** Where the configuration says so, e.g. `states.held`. */
  path: string;
}

/** Words that no row has, and no label of an enumeration: most likely the application calls it otherwise. */
export async function unknownWords(client: Client, words: Word[]): Promise<string[]> {
  const warnings: string[] = [];
  for (const { table, status, value, path } of words) {
    const { rows: labels } = await client.query<{ label: string }>(
      'SELECT enumlabel AS label FROM pg_enum WHERE enumtypid = $1::regtype',
      [status.type],
    );
    const known =
      labels.length > 0
        ? labels.some(({ label }) => label === value)
        : (
            await client.query(
              `SELECT FROM ${table.name} t WHERE t.${status.name} = ${valueParameter(1, status)} LIMIT 1`,
              [value],
            )
          ).rowCount !== 0;
    if (!known)
      warnings.push(
        `no ${labels.length > 0 ? `label of ${status.type}` : `row of ${table.name}`} is "${value}": look whether ${path} is what the application calls it`,
      );
  }
  return warnings;
}

interface FoundTrigger {
  name: string;
  always: boolean;
  /** It may do more than look at its row and set its columns. */
  reaches: boolean;
}

/** Words by which the text of a function does something beside its row, and what is no text of it. */
const REACHES = '\\m(insert|update|delete|merge|truncate|perform|execute|call|notify|select)\\M';
const NO_CODE = `'[^']*'|--[^\n]*|/[*].*?[*]/`;

/** What triggers of the application mean for the way back: what they change beside the rows of a repair is in nobody's log. */
export async function triggersOnTheWayBack(client: Client, changed: MappedTable[]): Promise<string[]> {
  if (!(await canPassTriggers(client)))
    return [
      'going back passes through the triggers of the application, which may refuse it or change columns of their own: our role may not SET session_replication_role',
    ];
  const { rows } = await client.query<FoundTrigger>(
    `SELECT format('%I on %s', t.tgname, t.tgrelid::regclass) AS name, t.tgenabled = 'A' AS always,
            t.tgtype & ${TRIGGER.before} = 0 OR l.lanname NOT IN ('plpgsql', 'sql')
              OR regexp_replace(p.prosrc, $2, '', 'g') ~* $3 AS reaches
       FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
      WHERE t.tgrelid = ANY($1::regclass[]) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
        AND t.tgtype & ${TRIGGER.instead} = 0 AND t.tgtype & ${TRIGGER.update} <> 0 ORDER BY 1`,
    [changed.map(({ name }) => name), NO_CODE, REACHES],
  );
  const names = (found: FoundTrigger[]) => found.map(({ name }) => name).join(', ');
  const passed = rows.filter(({ always, reaches }) => !always && reaches);
  const always = rows.filter((one) => one.always);
  return [
    ...(passed.length > 0
      ? [
          `going back passes the triggers of the application, so what they changed in other rows stays: ${names(passed)}`,
        ]
      : []),
    ...(always.length > 0
      ? [
          `triggers that always fire do so on the way back as well, and may refuse it or change columns: ${names(always)}`,
        ]
      : []),
  ];
}
