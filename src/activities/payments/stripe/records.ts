import type { Client } from 'pg';
import { keysParameter, readTables } from '../../postgres/repair/mapping';
import type { StripeConfig } from './settings';

export type StripeTables = Awaited<ReturnType<typeof readStripeTables>>;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readStripeTables(client: Client, service: string, { tables }: StripeConfig) {
  return readTables(client, `services.${service}.stripe.tables`, tables, {
    events: { indexed: ['event'] },
    subscriptions: { indexed: ['reference'] },
  });
}

/** How often the application has applied each of these events, by its own record; those that it never did are not in it. */
export async function readRecords(
  client: Client,
  { events: { name, columns } }: StripeTables,
  { applied }: StripeConfig,
  events: string[],
): Promise<Map<string, number>> {
  const { event, status } = columns;
  const { rows } = await client.query<{ event: string; times: number }>(
    `SELECT e.${event.name}::text AS event, count(*)::int AS times FROM ${name} e
      WHERE e.${event.name} = ANY(${keysParameter(1, event)}) ${status === undefined ? '' : `AND e.${status.name}::text = ANY($2::text[])`}
      GROUP BY 1`,
    [events, ...(status === undefined ? [] : [applied])],
  );
  return new Map(rows.map(({ event: id, times }) => [id, times]));
}
