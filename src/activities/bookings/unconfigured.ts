import type { Client } from 'pg';
import { canPassTriggers } from '../postgres/repair/undo';
import { valueParameter } from '../postgres/repair/mapping';
import type { BookingsConfig } from './settings';
import { changedTables, type BookingTables } from './tables';

/** Bits of pg_trigger.tgtype. */
const TRIGGER = { before: 2, update: 16, instead: 64 };

export type State = keyof BookingsConfig['states'];

/** Warnings for the plan: what nobody has configured is not done, and not silently. */
export async function unconfiguredOf(
  client: Client,
  config: BookingsConfig,
  tables: BookingTables,
  states: State[],
): Promise<string[]> {
  return [
    ...(config.role === undefined
      ? ['rows are changed with every right of the runbooks: no role is configured for repairs']
      : []),
    ...(tables.audit === undefined ? ['nothing is written into an audit trail: none is configured'] : []),
    ...(tables.slots === undefined ? ['slots are not looked at: no table of them is configured'] : []),
    ...(tables.links === undefined ? ['links of customers stay good: no table of them is configured'] : []),
    ...(await unknownStates(client, config, tables, states)),
    ...((await canPassTriggers(client))
      ? await passedTriggers(client, tables)
      : [
          'going back passes through the triggers of the application, which may refuse it or change columns of their own: our role may not SET session_replication_role',
        ]),
  ];
}

/** Words that no row has, and no label of an enumeration: most likely the application calls it otherwise. */
async function unknownStates(
  client: Client,
  config: BookingsConfig,
  tables: BookingTables,
  states: State[],
): Promise<string[]> {
  const warnings: string[] = [];
  for (const state of states) {
    const table = state === 'open' || state === 'reserved' ? tables.slots : tables.bookings;
    if (table === undefined) continue;
    const { status } = table.columns;
    const value = config.states[state];
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
        `no ${labels.length > 0 ? `label of ${status.type}` : `row of ${table.name}`} is "${value}": look whether states.${state} is what the application calls it`,
      );
  }
  return warnings;
}

/** What they change beside the rows of a repair is in nobody's log. */
async function passedTriggers(client: Client, tables: BookingTables): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I on %s', tgname, tgrelid::regclass) AS name FROM pg_trigger
      WHERE tgrelid = ANY($1::regclass[]) AND NOT tgisinternal AND tgenabled = 'O'
        AND tgtype & ${TRIGGER.before | TRIGGER.instead} = 0 AND tgtype & ${TRIGGER.update} <> 0 ORDER BY 1`,
    [changedTables(tables).map(({ name }) => name)],
  );
  if (rows.length === 0) return [];
  return [
    `going back passes the triggers of the application, so what they changed in other rows stays: ${rows.map(({ name }) => name).join(', ')}`,
  ];
}
