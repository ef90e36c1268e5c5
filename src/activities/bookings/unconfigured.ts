import type { Client } from 'pg';
import { triggersOnTheWayBack, unconfiguredRepair, unknownWords } from '../postgres/repair/unconfigured';
import type { BookingsConfig } from './settings';
import { changedTables, type BookingTables } from './tables';

export type State = keyof BookingsConfig['states'];

/** Warnings for the plan: what nobody has configured is not done, and not silently. */
export async function unconfiguredOf(
  client: Client,
  { role, states: words }: BookingsConfig,
  tables: BookingTables,
  states: State[],
): Promise<string[]> {
  const { audit, slots, links } = tables;
  const known = states.flatMap((state) => {
    const table = state === 'open' || state === 'reserved' ? slots : tables.bookings;
    if (table === undefined) return [];
    return [{ table, status: table.columns.status, value: words[state], path: `states.${state}` }];
  });
  return [
    ...unconfiguredRepair({ role, audit }),
    ...(slots === undefined ? ['slots are not looked at: no table of them is configured'] : []),
    ...(links === undefined ? ['links of customers stay good: no table of them is configured'] : []),
    ...(await unknownWords(client, known)),
    ...(await triggersOnTheWayBack(client, changedTables(tables))),
  ];
}
