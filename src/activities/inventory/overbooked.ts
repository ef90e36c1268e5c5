import type { Client } from 'pg';
import { keysParameter } from '../postgres/repair/mapping';
import type { InventoryConfig } from './settings';
import type { InventoryTables, UnitCount } from './tables';

/** What is sold of a unit, newest first where a column says when. */
export interface BookingsOfUnit {
  bookings: string[];
  /** Of which only the first are named. */
  bookingsInAll: number;
}

/** Units, and bookings of each, that are named; there may be more of both. */
export const MOST_NAMED = 10;

/** Names the bookings that take up these units: of the mapped ones those that count, else those of the ledger. */
export async function bookingsOf(
  client: Client,
  { counts }: InventoryConfig,
  tables: InventoryTables,
  units: UnitCount[],
): Promise<(UnitCount & BookingsOfUnit)[]> {
  const taking = takingSql(tables);
  const found = new Map<string, BookingsOfUnit>();
  if (taking !== undefined && units.length > 0) {
    const { rows } = await client.query<BookingsOfUnit & { unit: string }>(
      `WITH taking AS (${taking}), listed AS (
         SELECT *, row_number() OVER (PARTITION BY unit ORDER BY at DESC NULLS LAST, booking) AS place,
                count(*) OVER (PARTITION BY unit)::int AS total FROM taking)
       SELECT unit, array_agg(booking ORDER BY place) AS bookings, min(total) AS "bookingsInAll"
         FROM listed WHERE place <= ${MOST_NAMED} GROUP BY unit`,
      [units.map(({ id }) => id), counts],
    );
    for (const { unit, ...of } of rows) found.set(unit, of);
  }
  return units.map((unit) => ({ ...unit, ...(found.get(unit.id) ?? { bookings: [], bookingsInAll: 0 }) }));
}

function takingSql({ ledger, bookings }: InventoryTables): string | undefined {
  if (bookings !== undefined) {
    const { id, unit, status, createdAt } = bookings.columns;
    return `SELECT b.${unit.name}::text AS unit, b.${id.name}::text AS booking, ${createdAt === undefined ? 'NULL::text' : `b.${createdAt.name}`} AS at
              FROM ${bookings.name} b WHERE b.${unit.name} = ANY(${keysParameter(1, unit)}) AND b.${status.name}::text = ANY($2::text[])`;
  }
  const { unit, booking, quantity, createdAt } = ledger.columns;
  if (booking === undefined) return undefined;
  return `SELECT l.${unit.name}::text AS unit, l.${booking.name}::text AS booking,
                 max(${createdAt === undefined ? 'NULL::text' : `l.${createdAt.name}`}) AS at
            FROM ${ledger.name} l WHERE l.${unit.name} = ANY(${keysParameter(1, unit)}) AND $2::text[] IS NOT NULL
             AND l.${booking.name} IS NOT NULL
           GROUP BY 1, 2 HAVING sum(l.${quantity.name}::numeric) > 0`;
}
